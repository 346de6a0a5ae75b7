/// A response's head as it came.
struct HTTPResponse {
    let version: HTTPVersion
    let status: Int
    /// What follows the status, perhaps nothing.
    let reason: ArraySlice<UInt8>
    let fields: HTTPFields
    let content: HTTPContentLength

    /// Reads a head. Throws when it could be read in two ways.
    ///
    /// - Parameter isToHead: whether HEAD was asked.
    init(_ lines: [ArraySlice<UInt8>], isToHead: Bool) throws(HTTPViolation) {
        (self.version, self.status, self.reason) = try Self.statusLine(lines.first ?? [])
        self.fields = try HTTPFields(lines.dropFirst())
        // RFC 9112 §6.3: by the status alone. A server must not give these a length (RFC 9110 §8.6); what is passed on has none.
        let hasContent = !isToHead && self.status >= 200 && self.status != 204 && self.status != 304
        self.content = try HTTPContentLength(
            responseWith: self.fields, version: self.version, hasContent: hasContent)
    }

    /// `HTTP-version SP status-code SP [ reason-phrase ]` (RFC 9112 §4); many servers leave the last space out.
    private static func statusLine(
        _ line: ArraySlice<UInt8>
    ) throws(HTTPViolation) -> (HTTPVersion, Int, reason: ArraySlice<UInt8>) {
        let parts = line.split(separator: HTTPText.space, maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count >= 2, parts[1].count == 3, let status = HTTPText.number(parts[1]), status >= 100 else {
            throw .malformedStatusLine
        }
        let reason = parts.count == 3 ? parts[2] : []
        guard !reason.contains(where: HTTPText.isControl) else { throw .malformedStatusLine }
        do { return (try HTTPVersion(parts[0]), status, reason) } catch {
            throw error == .unsupportedVersion ? error : .malformedStatusLine
        }
    }

    /// 1xx: another one follows (RFC 9110 §15.2).
    var isInformational: Bool { self.status < 200 }

    /// Whether the server takes further requests on the connection.
    var isPersistent: Bool { self.content != .untilClose && self.version.isPersistent(self.fields) }
}
