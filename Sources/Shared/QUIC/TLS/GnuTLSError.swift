internal import CNgtcp2

/// GnuTLS's own words for an error code.
func gnutlsMessage(_ code: Int32) -> String {
    gnutls_strerror(code).map { String(cString: $0) } ?? "GnuTLS error \(code)"
}

/// GnuTLS's own words for a TLS alert (RFC 8446 §6), such as `Certificate is bad`.
func alertDescription(_ alert: UInt8) -> String {
    gnutls_alert_get_name(gnutls_alert_description_t(rawValue: UInt32(alert))).map { String(cString: $0) }
        ?? "unknown alert"
}
