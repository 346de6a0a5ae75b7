import AppProto
import CommandSupport
import Crypto
import Signaling
import Synchronization

/// The keys of a server's secrets. Each is derived once for as long as its secret is in use: that takes some 100 ms.
final class SecretKeys: Sendable {
    /// What a key is found by in memory, where the secret itself need not stay.
    private struct Digest: Hashable {
        let bytes: [UInt8]
    }

    private let salt = SecureRandom.bytes(32)
    private let known = Mutex<[Digest: SharedKey]>([:])

    /// The keys of `entries`, in their order. Call it where it may take its time, once at a time.
    func accepted(_ entries: [SecretFile.Entry]) throws -> AcceptedSecrets {
        defer { Allocator.releaseFreeMemory() }
        let before = self.known.withLock { $0 }
        var now: [Digest: SharedKey] = [:]
        var accepted: [AcceptedSecrets.Entry] = []
        for entry in entries {
            let digest = Digest(bytes: HMAC.sha256(key: self.salt, entry.secret.bytes))
            let key = try now[digest] ?? before[digest] ?? SharedKey(secret: entry.secret.bytes)
            now[digest] = key
            accepted.append(AcceptedSecrets.Entry(key, for: entry.role?.inMessages))
        }
        let derived = now
        self.known.withLock { $0 = derived }
        return AcceptedSecrets(accepted)
    }
}

extension SecretFile.Role {
    /// The same in messages.
    var inMessages: AppProto.Role { self == .agent ? .agent : .client }
}
