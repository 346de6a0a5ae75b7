package import AppProto
package import Basics
import Crypto

extension InstanceID {
    /// The id of one run of an agent that has proved its key. The same on every server, and for nobody who lacks the key.
    package init(of key: CertificateFingerprint, processNonce: [UInt8]) {
        self.init(keyHash: SHA256.hash(Array("rtun/1 instance".utf8) + key.bytes + processNonce))
    }
}
