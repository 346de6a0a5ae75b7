import Basics
internal import COpenSSL
import Crypto
import LibC

/// Owns one reference to an `X509`.
final class OpenSSLCertificate {
    let pointer: OpaquePointer

    /// Takes over one reference; it is released with this object.
    init(takingOwnership pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        X509_free(self.pointer)
    }

    /// The next certificate of a PEM text, nil at its end or at a block that is none.
    convenience init?(nextIn memory: OpenSSLMemory) {
        guard let pointer = PEM_read_bio_X509(memory.pointer, nil, nil, nil) else { return nil }
        self.init(takingOwnership: pointer)
    }

    /// The certificate in DER.
    func der() throws(TLSError) -> [UInt8] {
        var start: UnsafeMutablePointer<UInt8>?
        let count = i2d_X509(self.pointer, &start)
        guard count > 0, let start else { throw .operationFailed("encode a certificate", OpenSSLErrors.drain()) }
        defer { COpenSSL_free(start) }
        return Array(UnsafeBufferPointer(start: start, count: Int(count)))
    }

    /// The SHA-256 of the DER form.
    var fingerprint: CertificateFingerprint? {
        certificateFingerprint(of: self.pointer)
    }

    /// When its validity ends (`notAfter`, RFC 5280 §4.1.2.5), in seconds since 1970; nil when that cannot be read.
    var end: Int64? {
        var calendar = tm()
        guard ASN1_TIME_to_tm(X509_get0_notAfter(self.pointer), &calendar) == 1 else { return nil }
        return Int64(timegm(&calendar))
    }

    /// The certificate as a PEM block.
    func pem() throws(TLSError) -> [UInt8] {
        let memory = try OpenSSLMemory()
        guard PEM_write_bio_X509(memory.pointer, self.pointer) == 1 else {
            throw .operationFailed("encode a certificate", OpenSSLErrors.drain())
        }
        return memory.contents
    }
}

/// The SHA-256 of the DER form of a certificate that the caller keeps alive.
func certificateFingerprint(of certificate: OpaquePointer) -> CertificateFingerprint? {
    let digest = [UInt8](unsafeUninitializedCapacity: CertificateFingerprint.byteCount) { buffer, count in
        var length: UInt32 = 0
        let status = X509_digest(certificate, EVP_sha256(), buffer.baseAddress, &length)
        count = status == 1 ? Int(length) : 0
    }
    return CertificateFingerprint(bytes: digest)
}

/// Owns one reference to an `EVP_PKEY`.
final class OpenSSLKey {
    let pointer: OpaquePointer

    /// Takes over one reference; it is released with this object.
    init(takingOwnership pointer: OpaquePointer) {
        self.pointer = pointer
    }

    deinit {
        EVP_PKEY_free(self.pointer)
    }

    /// What every public key of the curve P-256 is a copy of. Nobody changes it, and OpenSSL only reads it.
    private nonisolated(unsafe) static let p256 = COpenSSL_p256_parameters()

    /// The public key that is this point of the curve P-256, as SEC 1 §2.3.3 writes it; nil when it is none. Reading the DER form
    /// of the same key takes OpenSSL 3 twice as long as the check of a signature.
    convenience init?(p256Point point: some Collection<UInt8>) {
        guard let pointer = EVP_PKEY_dup(Self.p256) else { return nil }
        let bytes = Array(point)
        guard EVP_PKEY_set1_encoded_public_key(pointer, bytes, bytes.count) == 1 else {
            EVP_PKEY_free(pointer)
            OpenSSLErrors.clear()
            return nil
        }
        self.init(takingOwnership: pointer)
    }

    /// The private key of a PEM text; nil when there is none, or one that is encrypted.
    convenience init?(unencryptedIn memory: OpenSSLMemory) {
        guard let pointer = PEM_read_bio_PrivateKey(memory.pointer, nil, { _, _, _, _ in -1 }, nil) else { return nil }
        self.init(takingOwnership: pointer)
    }

    /// Whether it is an RSA or an elliptic-curve key.
    var isSupported: Bool {
        switch EVP_PKEY_get_base_id(self.pointer) {
        case EVP_PKEY_RSA, EVP_PKEY_RSA_PSS, EVP_PKEY_EC, EVP_PKEY_ED25519: true
        default: false
        }
    }

    /// The private key as a PKCS#8 PEM block, unencrypted.
    func privatePEM() throws(TLSError) -> [UInt8] {
        let memory = try OpenSSLMemory()
        guard PEM_write_bio_PKCS8PrivateKey(memory.pointer, self.pointer, nil, nil, 0, nil, nil) == 1 else {
            throw .operationFailed("encode a private key", OpenSSLErrors.drain())
        }
        return memory.contents
    }
}

/// Owns a memory `BIO`.
final class OpenSSLMemory {
    let pointer: OpaquePointer

    /// An empty one to write to.
    init() throws(TLSError) {
        guard let pointer = BIO_new(BIO_s_mem()) else {
            throw .operationFailed("allocate a memory buffer", OpenSSLErrors.drain())
        }
        self.pointer = pointer
    }

    /// One to read a copy of `contents` from.
    convenience init(_ contents: [UInt8]) throws(TLSError) {
        try self.init()
        guard contents.isEmpty || BIO_write(self.pointer, contents, Int32(clamping: contents.count)) == contents.count
        else {
            throw .operationFailed("fill a memory buffer", OpenSSLErrors.drain())
        }
    }

    deinit {
        BIO_free(self.pointer)
    }

    /// What has been written and not read.
    var contents: [UInt8] {
        var start: UnsafeMutablePointer<CChar>?
        let count = COpenSSL_BIO_get_mem_data(self.pointer, &start)
        return Array(UnsafeRawBufferPointer(start: start, count: max(0, count)))
    }
}
