package import AppProto

/// Why a text is no link, or none for this program. Shows nothing of what is behind its `#`.
package enum ServerLinkError: Error, Hashable, CustomStringConvertible {
    /// Not `rtun://…` at all, or something in front of it.
    case noLink
    /// More bytes than any link has.
    case tooLong(limit: Int)
    /// White space, a quotation mark or a control character in the middle.
    case interrupted
    /// Host, port or path; the second text says what would be right.
    case place(String)
    /// A part of the query is of no use; the text says why.
    case part(String, String)
    /// No `#`, or nothing behind it.
    case noSecret
    /// The secret is not as long as the link says.
    case cut(byteCount: Int, of: Int)
    /// Behind `#` is a `%` without two hex digits.
    case secretEncoding
    /// It is for the other role.
    case otherRole(Role)

    package var description: String {
        switch self {
        case .noLink:
            "not a link; one begins with rtun://, as rtun-server --print-links prints it between quotation marks"
        case .tooLong(let limit):
            "longer than \(limit) bytes; is there something else behind it?"
        case .interrupted:
            "there is a blank, a quotation mark or a line break in it; copy it in one piece"
        case .place(let problem):
            problem
        case .part(let name, let problem):
            "\(name): \(problem)"
        case .noSecret:
            """
            the secret behind # lacks; put the link between single quotes, as the shell ends a word at & and takes what is \
            behind # for a comment, or copy all of it
            """
        case .cut(let byteCount, let count):
            "it was cut: its secret has \(byteCount) of \(count) bytes; copy all of it"
        case .secretEncoding:
            "behind # each % needs two hex digits; copy all of it"
        case .otherRole(.agent):
            "it is a link for rtun-agent; rtun-server --print-links also prints one for rtun-socks and rtun-relay"
        case .otherRole(.client):
            "it is a link for rtun-socks and rtun-relay; rtun-server --print-links also prints one for rtun-agent"
        }
    }
}
