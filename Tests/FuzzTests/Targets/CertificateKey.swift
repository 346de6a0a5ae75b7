import Basics

@testable import TLS

/// The certificate that a stranger sends as his own.
func fuzzCertificateKey(_ bytes: UnsafeRawBufferPointer) throws {
    let certificate = Array(bytes)
    guard let key = try? CertificateKey(ofDER: certificate) else { return }
    try promise(certificate.count <= CertificateKey.maximumCertificate, "a certificate that is too long is taken")
    try promise(key.fingerprint == CertificateFingerprint(ofDER: certificate), "another fingerprint")
    // The bytes as their own signature.
    try promise(!key.verifies(Array(certificate.prefix(72)), of: certificate), "a signature that nobody has made")
    try promise((try? CertificateKey(ofDER: certificate + [0])) == nil, "bytes behind the end are taken")
}
