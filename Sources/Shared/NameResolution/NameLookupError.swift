/// Why a name gave no addresses.
package enum NameLookupError: Error, Hashable, Sendable {
    /// The name servers, and whatever else this machine asks, do not know it.
    case notFound
    /// No name server has answered.
    case noAnswer
    /// A name server could not or would not answer, or the name is none; in words.
    case failed(String)
    /// Too many names are being looked up already.
    case busy
    /// This machine has no further socket to ask with.
    case noSocket
    /// Nobody waits for it any more.
    case cancelled
}

extension NameLookupError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notFound: "the name is not known"
        case .noAnswer: "no name server answers"
        case .failed(let reason): reason
        case .noSocket: "no more files can be opened, so no name server can be asked"
        case .busy: "too many names are being looked up"
        case .cancelled: "the lookup was cancelled"
        }
    }
}
