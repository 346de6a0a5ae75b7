import AppProto
import CommandSupport
import FlowLedger
import LibC
import NIOCore
import NIOPosix
import NameResolution
import OperatingSystem

/// Why no connection to a target came about, in the terms of the tunnel.
struct DialFailure: Error, Equatable {
    let code: OpenCode
    /// For the people at the other end.
    let reason: String

    init(_ code: OpenCode, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// What `error`, as NIO's connectors report it, means.
    init(_ error: any Error) {
        switch error {
        case let failure as DialFailure:
            self = failure
        case let error as NIOConnectionError:
            self.init(
                connectionErrors: error.connectionErrors.map(\.error),
                resolutionErrors: [error.dnsAError, error.dnsAAAAError].compactMap { $0 })
        case let error as NameLookupError:
            self.init(error)
        case ChannelError.connectTimeout(let timeout):
            self.init(.timedOut, "no answer within \(timeout.nanoseconds / 1_000_000_000) s")
        case let error as IOError:
            self.init(errno: error.errnoCode)
        default:
            self.init(.failed, "\(error)")
        }
    }

    /// The outcome of trying several addresses of one name.
    init(connectionErrors: [any Error], resolutionErrors: [any Error]) {
        // Addresses that were tried say more than those that were not. An answer of the target says more than silence, and
        // silence more than having no route for one of the families.
        let failures = (connectionErrors.isEmpty ? resolutionErrors : connectionErrors).map { DialFailure($0) }
        let worth: [OpenCode] = [.refused, .timedOut, .hostUnreachable, .networkUnreachable, .limit, .policy]
        let best = failures.min { left, right in
            (worth.firstIndex(of: left.code) ?? worth.count) < (worth.firstIndex(of: right.code) ?? worth.count)
        }
        self = best ?? DialFailure(.nameNotFound, "the name has no address")
    }

    /// The outcome of resolving a name.
    init(_ error: NameLookupError) {
        let code: OpenCode =
            switch error {
            case .busy, .noSocket: .limit
            // It may be answered another time.
            case .noAnswer, .cancelled: .timedOut
            case .notFound, .failed: .nameNotFound
            }
        self.init(code, "\(error)")
    }

    /// The outcome of a failed system call.
    init(errno code: Int32) {
        let openCode: OpenCode =
            switch code {
            case ECONNREFUSED, ECONNRESET: .refused
            case EHOSTUNREACH, EHOSTDOWN: .hostUnreachable
            case ENETUNREACH, ENETDOWN, EADDRNOTAVAIL, EAFNOSUPPORT: .networkUnreachable
            case ETIMEDOUT: .timedOut
            case EMFILE, ENFILE, ENOBUFS, ENOMEM: .limit
            default: .failed
            }
        self.init(openCode, SystemError.text(code))
    }
}

extension FlowOutcome {
    /// What a connection that could not be made counts as.
    init(_ code: OpenCode) {
        self =
            switch code {
            case .refused: .refused
            case .hostUnreachable, .networkUnreachable: .unreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit: .limit
            case .ok, .badRequest, .failed: .failed
            }
    }
}
