/// One run of an agent, as it tells of itself under its key's signature.
package struct AgentProcess: Hashable, Sendable {
    /// 16 random bytes made at its start: together with the key they give the instance id.
    package var nonce: [UInt8]
    /// How long it has been alive, its machine's sleep included, in milliseconds: of two with one name the younger wins.
    package var aliveMilliseconds: UInt64
    /// Whether a server has taken it before.
    package var isReturning: Bool

    package init(nonce: [UInt8], aliveMilliseconds: UInt64, isReturning: Bool = false) {
        self.nonce = nonce
        self.aliveMilliseconds = aliveMilliseconds
        self.isReturning = isReturning
    }
}
