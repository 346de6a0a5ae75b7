import AppProto
import NameResolution
import QUIC
import TLS

/// The libraries of C that every program stands on, all of which signalling uses.
package enum LibraryVersions {
    /// Each with its version, such as `OpenSSL 3.0.19`.
    package static var descriptions: [String] {
        [OpenSSLVersion.description] + QUICLibraryVersions.descriptions
            + [AresVersion.description, ProtobufVersion.description]
    }
}
