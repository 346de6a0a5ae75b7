package import NIOCore
import STUN

extension ICEAgent {
    /// Whether the peer has shown on this path that it knows our password: datagrams of other protocols that come the same
    /// way deserve a look. They may be earlier than the answer to our own check.
    package func hasHeardPeer(at source: SocketAddress, on base: LocalBaseID) -> Bool {
        guard let remote = TransportAddress(source) else {
            return false
        }
        let key = CandidatePair.Key(base: base, remote: remote)
        if let index = self.checkList.index(of: key) {
            let pair = self.checkList[index]
            return pair.checksReceived > 0 || pair.state == .succeeded
        }
        return self.earlyChecks.contains { $0.key == key }
    }

    /// Whether a datagram is a connectivity check of the peer; nothing comes of asking.
    package func isCheckOfPeer(_ datagram: ByteBuffer) -> Bool {
        guard let received = try? ReceivedSTUNMessage(decoding: datagram) else {
            return false
        }
        return received.message.method == .binding && received.message.messageClass == .request
            && self.isProved(received)
    }
}
