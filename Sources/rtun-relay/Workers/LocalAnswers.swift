import NIOCore
import UDP

/// Whoever sends to a rule's port, and the address of this machine that it sends to: answers have to come from there.
struct LocalSender: Hashable {
    let address: SocketAddress
    /// Nil unless the rule listens on all addresses.
    let askedAt: SocketAddress?
}

/// Answers on their way to local senders: those to one of them that come in a row leave together.
struct LocalAnswers {
    private var run = DatagramRun()
    private var destination: LocalSender?

    /// Sends `payload`, at the latest with `send`; returns how many datagrams have been lost on this machine.
    mutating func append(_ payload: ByteBuffer, to sender: LocalSender, on socket: UDPSocket) -> Int {
        var lost = 0
        if self.destination != sender || !self.run.accepts(payload.readableBytes) {
            lost = self.send(on: socket)
            self.destination = sender
        }
        self.run.append(payload)
        return lost
    }

    /// Sends what waits for company; returns how many datagrams have been lost on this machine.
    mutating func send(on socket: UDPSocket) -> Int {
        guard let destination = self.destination else { return 0 }
        let count = self.run.count
        var lost = 0
        self.run.send { bytes, segmentSize in
            switch socket.send(bytes, segmentSize: segmentSize, from: destination.askedAt, to: destination.address) {
            case .sent: break
            case .dropped, .refused: lost = count
            }
        }
        return lost
    }
}
