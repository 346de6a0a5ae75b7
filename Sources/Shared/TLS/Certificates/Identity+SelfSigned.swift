internal import COpenSSL
import Crypto
import LibC

extension Identity {
    /// Makes a fresh ECDSA P-256 key and a certificate that it signs itself.
    ///
    /// The certificate has a random serial number and is valid from yesterday, so that clocks may differ, for 10 years.
    /// Peers are expected to pin its fingerprint.
    ///
    /// - Parameters:
    ///   - commonName: the subject's and issuer's name, 1…64 bytes.
    ///   - alternativeNames: DNS names and IP address literals that it is valid for, when peers check names.
    /// - Throws: ``TLSError/operationFailed(_:_:)``.
    package static func selfSigned(
        commonName: String, alternativeNames: [String] = []
    ) throws(TLSError) -> Identity {
        OpenSSLErrors.clear()
        guard let keyPointer = COpenSSL_generate_p256_key() else {
            throw .operationFailed("generate a key", OpenSSLErrors.drain())
        }
        let key = OpenSSLKey(takingOwnership: keyPointer)
        guard let pointer = X509_new() else {
            throw .operationFailed("make a certificate", OpenSSLErrors.drain())
        }
        let certificate = OpenSSLCertificate(takingOwnership: pointer)
        guard
            X509_set_version(pointer, Int(X509_VERSION_3)) == 1,
            self.setSerialNumber(of: pointer),
            self.setValidity(of: pointer),
            self.setName(commonName, of: pointer),
            X509_set_pubkey(pointer, keyPointer) == 1,
            self.setAlternativeNames(alternativeNames, of: pointer),
            X509_sign(pointer, keyPointer, EVP_sha256()) > 0
        else {
            throw .operationFailed("make a certificate for \(commonName)", OpenSSLErrors.drain())
        }
        return try Identity(chain: [certificate], key: key)
    }

    private static let validityDays = 3_650

    /// 127 random bits: positive and at most 20 octets (RFC 5280 §4.1.2.2).
    private static func setSerialNumber(of certificate: OpaquePointer) -> Bool {
        var serial = SecureRandom.bytes(16)
        serial[0] = serial[0] & 0x7f | 0x40
        guard let number = BN_bin2bn(serial, Int32(serial.count), nil) else { return false }
        defer { BN_free(number) }
        return BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != nil
    }

    private static func setValidity(of certificate: OpaquePointer) -> Bool {
        var now = time(nil)
        return X509_time_adj_ex(X509_getm_notBefore(certificate), -1, 0, &now) != nil
            && X509_time_adj_ex(X509_getm_notAfter(certificate), Int32(Self.validityDays), 0, &now) != nil
    }

    /// Subject and issuer are the same name.
    private static func setName(_ commonName: String, of certificate: OpaquePointer) -> Bool {
        let name = X509_get_subject_name(certificate)
        let bytes = Array(commonName.utf8)
        return X509_NAME_add_entry_by_NID(
            name, NID_commonName, COpenSSL_MBSTRING_UTF8, bytes, Int32(clamping: bytes.count), -1, 0) == 1
            && X509_set_issuer_name(certificate, name) == 1
    }

    private static func setAlternativeNames(_ names: [String], of certificate: OpaquePointer) -> Bool {
        guard !names.isEmpty else { return true }
        guard let list = COpenSSL_GENERAL_NAMES_new() else { return false }
        defer { COpenSSL_GENERAL_NAMES_free(list) }
        for name in names {
            guard let entry = self.generalName(name) else { return false }
            guard COpenSSL_GENERAL_NAMES_push(list, entry) > 0 else {
                GENERAL_NAME_free(entry)
                return false
            }
        }
        return X509_add1_ext_i2d(certificate, NID_subject_alt_name, UnsafeMutableRawPointer(list), 0, 0) == 1
    }

    /// A DNS name, or an IP address if it reads as one. The caller owns the result.
    private static func generalName(_ name: String) -> UnsafeMutablePointer<GENERAL_NAME>? {
        let isAddress = isIPAddressLiteral(name)
        // a2i_GENERAL_NAME turns text into either form: an address becomes its 4 or 16 bytes.
        return name.withCString { text in
            a2i_GENERAL_NAME(nil, nil, nil, isAddress ? GEN_IPADD : GEN_DNS, text, 0)
        }
    }
}

/// Whether `text` is an IPv4 or IPv6 address literal, without brackets.
func isIPAddressLiteral(_ text: String) -> Bool {
    guard let address = a2i_IPADDRESS(text) else {
        OpenSSLErrors.clear()
        return false
    }
    ASN1_OCTET_STRING_free(address)
    return true
}
