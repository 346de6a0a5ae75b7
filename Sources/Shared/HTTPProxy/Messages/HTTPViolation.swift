/// What is wrong with a message: something that two programs could read in two ways, or that this one cannot read at all.
package enum HTTPViolation: Error, Hashable, Sendable {
    // The head as a whole.
    case headTooLarge
    case tooManyFields
    /// LF without CR in front, which RFC 9112 §2.2 allows to be taken for a line's end, so that some do and some do not.
    case bareLineFeed
    case bareCarriageReturn
    case controlCharacter
    // Its first line.
    case malformedRequestLine
    case malformedStatusLine
    case unsupportedVersion
    // Its fields.
    case foldedLine
    case malformedField
    case blankBeforeColon
    case missingHost
    case severalHosts
    case invalidHost
    /// `Host` names another place than the target of the request.
    case conflictingHost
    // The length of what follows.
    case invalidLength
    case severalLengths
    case lengthAndCoding
    /// `Transfer-Encoding` in HTTP/1.0, which does not know it (RFC 9112 §6.1).
    case codingInOldVersion
    /// The last coding is not `chunked`, or it is there several times: where the message ends is anybody's guess.
    case unclearCoding
    /// A coding that is known, below `chunked`.
    case unsupportedCoding
    case contentInConnect
    case malformedChunk
    case malformedTrailer
    /// The message is cut off.
    case incomplete
    // Where a request wants to go.
    case invalidTarget
    case userInformation
    case invalidPort
    case unsupportedScheme
    case invalidMaxForwards
    // A response that nobody has asked for.
    case unexpectedUpgrade
}

extension HTTPViolation {
    /// The status that a client is answered with, whose request this is wrong with.
    var status: HTTPStatus {
        switch self {
        case .headTooLarge, .tooManyFields: .requestHeaderFieldsTooLarge
        case .unsupportedVersion: .versionNotSupported
        case .unsupportedCoding: .notImplemented
        default: .badRequest
        }
    }
}

extension HTTPViolation: CustomStringConvertible {
    package var description: String {
        switch self {
        case .headTooLarge: "the head is larger than \(HTTPHeadReader.limit / 1024) KiB"
        case .tooManyFields: "there are more than \(HTTPFields.limit) fields"
        case .bareLineFeed: "a line ends with LF alone, not with CRLF"
        case .bareCarriageReturn: "there is a CR without LF"
        case .controlCharacter: "there is a control character"
        case .malformedRequestLine: "the request line is malformed"
        case .malformedStatusLine: "the status line is malformed"
        case .unsupportedVersion: "the version is neither HTTP/1.1 nor HTTP/1.0"
        case .foldedLine: "a field is folded over several lines"
        case .malformedField: "a field is malformed"
        case .blankBeforeColon: "there is a blank between a field's name and its colon"
        case .missingHost: "there is no Host field"
        case .severalHosts: "there are several Host fields"
        case .invalidHost: "the Host field is malformed"
        case .conflictingHost: "the Host field names another place than the request line"
        case .invalidLength: "Content-Length is not a number"
        case .severalLengths: "there are several lengths"
        case .lengthAndCoding: "there are both Content-Length and Transfer-Encoding"
        case .codingInOldVersion: "there is a Transfer-Encoding in HTTP/1.0"
        case .unclearCoding: "Transfer-Encoding does not end with one chunked"
        case .unsupportedCoding: "the only Transfer-Encoding that is supported is chunked"
        case .contentInConnect: "CONNECT has content"
        case .malformedChunk: "a chunk is malformed"
        case .malformedTrailer: "the trailer is malformed"
        case .incomplete: "the message is cut off"
        case .invalidTarget: "the target is malformed"
        case .userInformation: "the URL contains user information"
        case .invalidPort: "the port is not a number from 1 to 65535"
        case .unsupportedScheme: "only http:// URLs can be requested; everything else goes through CONNECT"
        case .invalidMaxForwards: "Max-Forwards is not a number"
        case .unexpectedUpgrade: "the protocol is switched without being asked for"
        }
    }
}
