internal import COpenSSL
import Crypto
import OperatingSystem

extension Identity {
    /// Reads a certificate chain and its private key from PEM files.
    ///
    /// The certificate file holds the leaf first and then its issuers; the key is RSA or elliptic-curve, in PKCS#8 or
    /// its traditional form, unencrypted.
    ///
    /// - Throws: a ``TLSError`` that names the file: unreadable, not PEM, encrypted, of an unknown kind, or not the
    ///   key of the certificate.
    package static func load(certificateFile: String, keyFile: String) throws(TLSError) -> Identity {
        let chain = try self.readChain(from: certificateFile)
        let key = try self.readKey(from: keyFile)
        OpenSSLErrors.clear()
        guard X509_check_private_key(chain[0].pointer, key.pointer) == 1 else {
            OpenSSLErrors.clear()
            throw .keyDoesNotMatch(certificateFile: certificateFile, keyFile: keyFile)
        }
        return try Identity(chain: chain, key: key)
    }

    /// Encodes certificates and a key that belong together. `chain` has the leaf first.
    init(chain: [OpenSSLCertificate], key: OpenSSLKey) throws(TLSError) {
        guard let fingerprint = chain.first?.fingerprint, let end = chain.first?.end else {
            throw .operationFailed("read a certificate", OpenSSLErrors.drain())
        }
        var chainPEM: [UInt8] = []
        for certificate in chain {
            chainPEM += try certificate.pem()
        }
        self.init(
            certificateChainPEM: chainPEM, privateKeyPEM: try key.privatePEM(), leafFingerprint: fingerprint,
            leafEnd: end)
    }

    /// What is in a file of at most 1 MiB, which is plenty for keys and certificates.
    static func contents(of path: String) throws(TLSError) -> [UInt8] {
        do {
            return try SmallFile.contents(of: path, limit: 1 << 20)
        } catch .tooLarge {
            throw .cannotReadFile(path: path, reason: "larger than 1 MiB")
        } catch {
            throw .cannotReadFile(path: path, reason: "\(error)")
        }
    }

    /// The certificates of a PEM file, at least one.
    private static func readChain(from path: String) throws(TLSError) -> [OpenSSLCertificate] {
        let memory = try OpenSSLMemory(try Self.contents(of: path))
        var chain: [OpenSSLCertificate] = []
        OpenSSLErrors.clear()
        while let certificate = OpenSSLCertificate(nextIn: memory) {
            chain.append(certificate)
        }
        let errors = OpenSSLErrors.drain()
        // Reading ends with "no start line", which after at least one certificate is just the end of the file.
        let reachedEnd = errors.contains(library: ERR_LIB_PEM, reason: PEM_R_NO_START_LINE)
        guard !chain.isEmpty, reachedEnd else {
            throw .noPEM(path: path, expected: "certificate", errors: errors)
        }
        return chain
    }

    private static func readKey(from path: String) throws(TLSError) -> OpenSSLKey {
        let memory = try OpenSSLMemory(try Self.contents(of: path))
        OpenSSLErrors.clear()
        // OpenSSL asks for a pass phrase only when the key is encrypted; refuse, and remember that it asked.
        var askedForPassPhrase = false
        let pointer = withUnsafeMutablePointer(to: &askedForPassPhrase) { asked in
            PEM_read_bio_PrivateKey(
                memory.pointer, nil,
                { _, _, _, asked in
                    asked?.assumingMemoryBound(to: Bool.self).pointee = true
                    return -1
                }, asked)
        }
        guard let pointer else {
            let errors = OpenSSLErrors.drain()
            if askedForPassPhrase { throw .encryptedKey(path: path) }
            throw .noPEM(path: path, expected: "private key", errors: errors)
        }
        let key = OpenSSLKey(takingOwnership: pointer)
        guard key.isSupported else { throw .unsupportedKey(path: path) }
        return key
    }
}
