import Basics
internal import COpenSSL
import Crypto

/// What others can know a server's certificate by.
extension Identity {
    /// Whether it vouches for itself, so that nobody knows it who has not been told.
    package var isSelfSigned: Bool {
        self.withLeaf { X509_self_signed($0, 1) == 1 } ?? false
    }

    /// The hash of its key.
    package var publicKeyPin: PublicKeyPin? {
        self.withLeaf { PublicKeyPin(of: $0) } ?? nil
    }

    /// Whether it is issued for `host`, a name or an IP address literal.
    package func isIssued(for host: String) -> Bool {
        self.withLeaf { leaf in
            isIPAddressLiteral(host)
                ? X509_check_ip_asc(leaf, host, 0) == 1 : X509_check_host(leaf, host, host.utf8.count, 0, nil) == 1
        } ?? false
    }

    /// The names that it is issued for, without those that stand for many.
    package var dnsNames: [String] {
        let text = self.withLeaf { CertificateRejection.names(of: $0) } ?? ""
        return text.split(separator: ",").compactMap { entry in
            let words = entry.drop { $0 == " " }
            guard words.hasPrefix("DNS:"), !words.contains("*") else { return nil }
            return String(words.dropFirst(4))
        }
    }

    private func withLeaf<Value>(_ body: (OpaquePointer) -> Value) -> Value? {
        guard let memory = try? OpenSSLMemory(self.certificateChainPEM),
            let leaf = OpenSSLCertificate(nextIn: memory)
        else { return nil }
        defer { OpenSSLErrors.clear() }
        return withExtendedLifetime(leaf) { body(leaf.pointer) }
    }
}
