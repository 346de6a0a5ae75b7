internal import CNgtcp2
import Crypto
import NIOCore

/// The packets that a server answers with without keeping any state.
struct StatelessAnswers {
    let context: QUICContext

    /// How long a client may take to come back with a Retry token.
    private static let tokenLifetime = TimeAmount.seconds(10)
    /// RFC 9000 §10.3: 5 unpredictable bytes and the token of 16.
    private static let smallestReset = 21
    /// What the reset is filled up to with unpredictable bytes, so that it looks like any short packet.
    private static let usualReset = 43

    /// Tells the peer of a connection that we know nothing about that it is gone. Shorter than what it answers, so
    /// that two such servers cannot keep each other busy (RFC 9000 §10.3.3); nil when the datagram is too short for
    /// that.
    func statelessReset(for id: ConnectionID, datagramLength: Int) -> ByteBuffer? {
        let length = min(datagramLength - 1, Self.usualReset)
        guard length >= Self.smallestReset else { return nil }
        let key = self.context.statelessResetKey
        var token = [UInt8](repeating: 0, count: Int(NGTCP2_STATELESS_RESET_TOKENLEN))
        var id = id.cid
        guard ngtcp2_crypto_generate_stateless_reset_token(&token, key, key.count, &id) == 0 else { return nil }
        let random = SecureRandom.bytes(length - token.count)
        return self.packet { ngtcp2_pkt_write_stateless_reset($0, $1, token, random, random.count) }
    }

    /// Says which versions we speak (RFC 9000 §6.1).
    func versionNegotiation(destinationID: [UInt8], sourceID: [UInt8]) -> ByteBuffer? {
        let versions = [CNgtcp2_version_1()]
        return self.packet {
            // The client's ids come back swapped.
            ngtcp2_pkt_write_version_negotiation(
                $0, $1, UInt8.random(in: .min ... .max), sourceID, sourceID.count, destinationID, destinationID.count,
                versions, versions.count)
        }
    }

    /// Asks the client to prove that it can receive at its address (RFC 9000 §8.1.2).
    func retry(for initial: InitialPacket, from address: SocketAddress, at now: NIODeadline) -> ByteBuffer? {
        let key = self.context.retryTokenKey
        var newID = ConnectionID.random().cid
        var originalID = initial.destinationID.cid
        var clientID = initial.sourceID.cid
        // ngtcp2's NGTCP2_CRYPTO_MAX_RETRY_TOKENLEN, which is a computed macro.
        var token = [UInt8](repeating: 0, count: CNgtcp2_max_retry_token_length())
        let length = address.withSockAddr { address, size in
            ngtcp2_crypto_generate_retry_token(
                &token, key, key.count, initial.version, address, socklen_t(size), &newID, &originalID,
                now.uptimeNanoseconds)
        }
        guard length > 0 else { return nil }
        return self.packet {
            ngtcp2_crypto_write_retry($0, $1, initial.version, &clientID, &newID, &originalID, token, length)
        }
    }

    /// Whether the client may go on: `initial` without a token as it is, one with a valid Retry token with the id
    /// that the client had chosen first filled in; nil for a token that is not ours, expired, or made for another
    /// address.
    func validated(_ initial: InitialPacket, from address: SocketAddress, at now: NIODeadline) -> InitialPacket? {
        guard initial.token.readableBytes > 0 else { return initial }
        let key = self.context.retryTokenKey
        var originalID = ngtcp2_cid()
        var currentID = initial.destinationID.cid
        let token = Array(initial.token.readableBytesView)
        let code = address.withSockAddr { address, size in
            ngtcp2_crypto_verify_retry_token(
                &originalID, token, token.count, key, key.count, initial.version, address, socklen_t(size), &currentID,
                UInt64(Self.tokenLifetime.nanoseconds), now.uptimeNanoseconds)
        }
        guard code == 0 else { return nil }
        var initial = initial
        initial.answersRetry = true
        initial.originalDestinationID = ConnectionID(originalID)
        return initial
    }

    private func packet(_ write: (UnsafeMutablePointer<UInt8>?, Int) -> Int) -> ByteBuffer? {
        var packet = ByteBuffer()
        let written = packet.writeWithUnsafeMutableBytes(minimumWritableBytes: Int(NGTCP2_MAX_UDP_PAYLOAD_SIZE)) {
            target in
            max(write(target.bindMemory(to: UInt8.self).baseAddress, target.count), 0)
        }
        return written > 0 ? packet : nil
    }
}
