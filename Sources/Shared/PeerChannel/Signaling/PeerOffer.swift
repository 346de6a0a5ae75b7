import AppProto
import Basics
import Crypto

/// The proof of the end-to-end secret in offers and answers, so that a hostile server cannot put itself in between.
///
/// HMAC-SHA256 under `EndToEndKey`, over a context and then every field behind its length in 4 bytes, big-endian:
///
///     offer   "rtun/1 peer offer"  ‖ peer id ‖ kind ‖ agent name ‖ instance id ‖ ufrag ‖ pwd ‖ fingerprint
///     answer  "rtun/1 peer answer" ‖ peer id ‖ the offer's MAC ‖ ufrag ‖ pwd ‖ fingerprint
///     restart "rtun/1 peer restart" ‖ peer id ‖ generation ‖ ufrag ‖ pwd
///     its answer "rtun/1 peer restarted" ‖ peer id ‖ the restart's MAC ‖ ufrag ‖ pwd
///
/// `generation` has 4 bytes, big-endian.
///
/// `kind` is `quic_tunnel`; or `udp_relay` followed by the target's address (4 or 16 bytes), its port (2), the idle timeout
/// in milliseconds (8) and the payload limit (2, 0 for none), big-endian.
///
/// Candidates are not covered: they trickle in, and whoever answers on a wrong one lacks the password and the
/// certificate.
enum PeerOffer {
    private static let offerContext = "rtun/1 peer offer"
    private static let answerContext = "rtun/1 peer answer"
    private static let restartContext = "rtun/1 peer restart"
    private static let restartedContext = "rtun/1 peer restarted"

    /// The MAC of an offer, whatever its `e2eMAC` says.
    static func mac(of offer: OpenPeer, key: [UInt8]) -> [UInt8] {
        let kind =
            switch offer.kind {
            case .quicTunnel: Array("quic_tunnel".utf8)
            case .udpRelay(let relay): Array("udp_relay".utf8) + self.bytes(of: relay)
            case nil: [UInt8]()
            }
        return self.mac(
            key: key, context: self.offerContext, offer.peerID.bytes, kind, Array(offer.name.utf8),
            Array(offer.instanceID.rawValue.utf8), Array(offer.ice.ufrag.utf8), Array(offer.ice.pwd.utf8),
            offer.fingerprint)
    }

    private static func bytes(of relay: UdpRelay) -> [UInt8] {
        var bytes = relay.target.packedIPAddress
        withUnsafeBytes(of: relay.target.packedPort.bigEndian) { bytes += $0 }
        withUnsafeBytes(of: (relay.idleTimeout.nanoseconds / 1_000_000).bigEndian) { bytes += $0 }
        withUnsafeBytes(of: (relay.maximumPayload ?? 0).bigEndian) { bytes += $0 }
        return bytes
    }

    /// The MAC of an answer to the offer whose MAC is `offerMAC`.
    static func mac(of answer: OpenPeerReply, offerMAC: [UInt8], key: [UInt8]) -> [UInt8] {
        self.mac(
            key: key, context: self.answerContext, answer.peerID.bytes, offerMAC, Array(answer.ice.ufrag.utf8),
            Array(answer.ice.pwd.utf8), answer.fingerprint)
    }

    /// The MAC of a restart.
    static func mac(of restart: RestartPeer, key: [UInt8]) -> [UInt8] {
        self.mac(
            key: key, context: self.restartContext, restart.peerID.bytes,
            withUnsafeBytes(of: restart.generation.bigEndian) { Array($0) }, Array(restart.ice.ufrag.utf8),
            Array(restart.ice.pwd.utf8))
    }

    /// The MAC of an answer to the restart whose MAC is `restartMAC`.
    static func mac(of answer: RestartPeerReply, restartMAC: [UInt8], key: [UInt8]) -> [UInt8] {
        self.mac(
            key: key, context: self.restartedContext, answer.peerID.bytes, restartMAC, Array(answer.ice.ufrag.utf8),
            Array(answer.ice.pwd.utf8))
    }

    /// Throws `.endToEndProof` unless the restart proves `key`. Without a key of ours nothing is asked for.
    static func verify(_ restart: RestartPeer, key: [UInt8]?) throws(PeerChannelError) {
        guard let key else {
            return
        }
        try self.verify(restart.e2eMAC, expected: self.mac(of: restart, key: key), of: "client")
    }

    /// Throws `.endToEndProof` unless the answer proves `key` and belongs to this very restart.
    static func verify(
        _ answer: RestartPeerReply, restartMAC: [UInt8], key: [UInt8]?
    ) throws(PeerChannelError) {
        guard let key else {
            return
        }
        try self.verify(
            answer.e2eMAC, expected: self.mac(of: answer, restartMAC: restartMAC, key: key), of: "agent")
    }

    /// Throws `.endToEndProof` unless the offer proves `key`. Without a key of ours nothing is asked for.
    static func verify(_ offer: OpenPeer, key: [UInt8]?) throws(PeerChannelError) {
        guard let key else {
            return
        }
        try self.verify(offer.e2eMAC, expected: self.mac(of: offer, key: key), of: "client")
    }

    /// Throws `.endToEndProof` unless the answer proves `key` and belongs to this very offer.
    static func verify(_ answer: OpenPeerReply, offerMAC: [UInt8], key: [UInt8]?) throws(PeerChannelError) {
        guard let key else {
            return
        }
        try self.verify(answer.e2eMAC, expected: self.mac(of: answer, offerMAC: offerMAC, key: key), of: "agent")
    }

    private static func verify(_ mac: [UInt8], expected: [UInt8], of side: String) throws(PeerChannelError) {
        guard !mac.isEmpty else {
            throw .endToEndProof("the \(side) has no end-to-end secret")
        }
        guard constantTimeEquals(mac, expected) else {
            throw .endToEndProof("the \(side)'s end-to-end secret is another one")
        }
    }

    private static func mac(key: [UInt8], context: String, _ fields: [UInt8]...) -> [UInt8] {
        var message = Array(context.utf8)
        for field in fields {
            withUnsafeBytes(of: UInt32(truncatingIfNeeded: field.count).bigEndian) { message += $0 }
            message += field
        }
        return HMAC.sha256(key: key, message)
    }
}
