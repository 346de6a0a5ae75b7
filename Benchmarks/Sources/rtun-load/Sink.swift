import BenchSupport
import Glibc
import Synchronization

/// The target of the measurements over TCP: serves what `Wire` lists. Each thread accepts a connection, serves it to its
/// end, and accepts the next, so that a short connection costs no thread of its own.
final class Sink: Sendable {
    private let listener: Socket
    private let zeros = Zeros(Wire.bufferSize)
    /// How many threads wait for a connection.
    private let idle = Atomic<Int>(0)

    init(on endpoint: Endpoint, congestion: String?) {
        self.listener = Socket.listen(on: endpoint, congestion: congestion)
    }

    var port: UInt16 { self.listener.port }

    /// Serves for ever.
    func run() -> Never {
        self.start(32)
        while true { pause() }
    }

    private func start(_ count: Int) {
        for _ in 0..<count {
            self.idle.add(1, ordering: .relaxed)
            Thread { self.serve() }.detach()
        }
    }

    private func serve() {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 << 10, alignment: 4096)
        while true {
            let descriptor = accept(self.listener.descriptor, nil, nil)
            guard descriptor >= 0 else { continue }
            // The last one that waited: others have to.
            if self.idle.subtract(1, ordering: .relaxed).newValue == 0 { self.start(16) }
            let socket = Socket(descriptor: descriptor)
            switch socket.receiveAll(1)?[0] {
            case Wire.download: while socket.sendAll(self.zeros.bytes) {}
            case Wire.upload: Self.count(socket)
            case Wire.echo: Self.echo(socket, buffer)
            case Wire.requests: self.answer(socket, buffer)
            default: break
            }
            socket.close()
            self.idle.add(1, ordering: .relaxed)
        }
    }

    private static func count(_ socket: Socket) {
        // So that it also reports that nothing comes.
        var interval = timeval(tv_sec: 0, tv_usec: Int(Wire.reportInterval / 1000))
        setsockopt(socket.descriptor, SOL_SOCKET, SO_RCVTIMEO, &interval, socklen_t(MemoryLayout<timeval>.size))
        var total: Int64 = 0
        var reported: Int64 = 0
        while true {
            let count = socket.discard(Wire.bufferSize)
            if count == 0 || (count < 0 && errno != EAGAIN && errno != EINTR) { return }
            total += Int64(max(0, count))
            let now = monotonicNow()
            guard now - reported >= Wire.reportInterval else { continue }
            reported = now
            guard withUnsafeBytes(of: (now, total), { socket.sendAll($0) }) else { return }
        }
    }

    private static func echo(_ socket: Socket, _ buffer: UnsafeMutableRawBufferPointer) {
        while true {
            let count = socket.receive(buffer)
            guard count > 0, socket.sendAll(UnsafeRawBufferPointer(rebasing: buffer[..<count])) else { return }
        }
    }

    private func answer(_ socket: Socket, _ buffer: UnsafeMutableRawBufferPointer) {
        let request = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Wire.requestSize])
        let response = UnsafeRawBufferPointer(rebasing: self.zeros.bytes[..<Wire.responseSize])
        while socket.receiveAll(request), socket.sendAll(response) {}
    }
}
