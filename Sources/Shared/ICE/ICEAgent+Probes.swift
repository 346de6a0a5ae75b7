package import NIOCore
package import STUN

/// Names a valid pair for as long as the agent lives.
package struct ICEPairID: Hashable, Sendable {
    let key: CandidatePair.Key
}

/// Probes of what a valid pair carries, as a path MTU discovery (RFC 8899) or a watch over the path wants them.
extension ICEAgent {
    /// Sends one authentic request on a pair that has worked, with padding up to `size` bytes of UDP payload; nil for
    /// none. Answers come as `ICEEvent.probeAnswered`; the loss of one is for the caller to notice. They count for consent,
    /// too.
    ///
    /// - Returns: the probe's id; nil when the pair is not valid (any more).
    package mutating func probe(_ pair: ICEPairID, size: Int?, at now: NIODeadline) -> TransactionID? {
        guard let index = self.checkList.index(of: pair.key), self.checkList[index].isAvailable else {
            return nil
        }
        return self.sendRequest(
            on: index, for: .probe, wait: self.configuration.probeLifetime, size: size, at: now)
    }

    /// The caller's probes have shown that a valid pair carries less than is needed. If it was in use, the best of the other
    /// valid ones takes over (`selectedPairChanged`); without any, checks begin again (`pairUsable`) or, when there is nothing
    /// left to check, the session fails in a moment.
    package mutating func reject(_ pair: ICEPairID, at now: NIODeadline) {
        guard self.phase != .failed, let index = self.checkList.index(of: pair.key),
            self.checkList[index].state == .succeeded
        else { return }
        self.failPair(index, .carriesTooLittle, at: now)
        self.advance(at: now)
    }

    mutating func probeAnswered(_ transaction: CheckTransaction, by answer: STUNMessage, at now: NIODeadline) {
        self.scheduleLivenessCheck(of: transaction.pair, at: now)
        let size = answer.padding == nil ? nil : transaction.request.readableBytes
        self.emit(.probeAnswered(transaction.id, size: size, roundTripTime: now - transaction.sentAt))
    }
}

extension STUNMessage {
    /// Length and type of the attribute that the padding is in.
    private static let paddingHeader = 4

    /// The message with integrity and fingerprint, and with PADDING up to `size` bytes, a multiple of 4; nil for none. One
    /// that is larger without padding stays as it is.
    func encoded(integrityKey: MessageIntegrityKey, paddedTo size: Int?) -> ByteBuffer {
        let plain = self.encoded(integrityKey: integrityKey, fingerprint: true)
        guard let size else {
            return plain
        }
        let missing = min(size, Self.maximumLength) - plain.readableBytes - Self.paddingHeader
        guard missing >= 0 else {
            return plain
        }
        var padded = self
        padded.attributes.append(.padding(missing & ~3))
        return padded.encoded(integrityKey: integrityKey, fingerprint: true)
    }
}
