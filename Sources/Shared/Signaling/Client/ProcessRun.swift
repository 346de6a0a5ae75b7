import AppProto
import Crypto
import NIOCore

/// This run of the program: what tells it from others with the same key, and how long it has lasted.
package struct ProcessRun: Sendable {
    /// 16 random bytes.
    let nonce = SecureRandom.bytes(AppProtoLimits.processNonce)
    /// A clock that goes on while the machine sleeps: who has slept for a day is a day older.
    private let start = ContinuousClock.now

    /// Begins now.
    package init() {}

    /// Since its begin.
    var age: TimeAmount { TimeAmount(ContinuousClock.now - self.start) }
}
