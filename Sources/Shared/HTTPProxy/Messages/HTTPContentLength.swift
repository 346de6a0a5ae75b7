/// What says where a message ends (RFC 9112 §6.3).
enum HTTPContentLength: Equatable {
    /// There is no content.
    case nothing
    case bytes(Int)
    case chunked
    /// Everything until the connection's end; of responses only.
    case untilClose

    init(requestWith fields: HTTPFields, version: HTTPVersion) throws(HTTPViolation) {
        self = try Self(fields, version: version) ?? .nothing
    }

    /// - Parameter hasContent: false for responses to HEAD, and for those whose status says so, whatever their fields say.
    init(responseWith fields: HTTPFields, version: HTTPVersion, hasContent: Bool) throws(HTTPViolation) {
        let length = try Self(fields, version: version) ?? .untilClose
        self = hasContent ? length : .nothing
    }

    /// Nil without a field that says it.
    private init?(_ fields: HTTPFields, version: HTTPVersion) throws(HTTPViolation) {
        let lengths = fields.values("content-length")
        if fields.contains("transfer-encoding") {
            guard version == .http1_1 else { throw .codingInOldVersion }
            guard lengths.isEmpty else { throw .lengthAndCoding }
            self = try Self(codings: fields.values("transfer-encoding"))
            return
        }
        // The same length twice is allowed to be read as one (RFC 9110 §8.6), or not.
        guard lengths.count <= 1 else { throw .severalLengths }
        guard let length = lengths.first else { return nil }
        guard !length.contains(HTTPText.comma) else { throw .severalLengths }
        guard let number = HTTPText.number(length) else { throw .invalidLength }
        self = number == 0 ? .nothing : .bytes(number)
    }

    /// `chunked`, once, and nothing else.
    private init(codings values: [ArraySlice<UInt8>]) throws(HTTPViolation) {
        let codings = values.flatMap { $0.split(separator: HTTPText.comma, omittingEmptySubsequences: false) }
        let isChunked = codings.map { HTTPText.equal(HTTPText.trimmed($0), "chunked".utf8) }
        guard isChunked.last == true, isChunked.filter({ $0 }).count == 1 else { throw .unclearCoding }
        guard codings.count == 1 else { throw .unsupportedCoding }
        self = .chunked
    }
}
