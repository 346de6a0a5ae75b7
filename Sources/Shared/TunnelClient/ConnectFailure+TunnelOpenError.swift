import AppProto
package import FlowLedger
import Tunnel

extension ConnectFailure {
    /// An open that failed.
    init(_ error: TunnelOpenError) {
        let kind: Kind =
            switch error {
            case .refused(let code, _): Kind(code)
            case .timedOut: .timedOut
            case .streamLimitReached: .limit
            case .notConnected, .brokenStream, .noDatagrams, .invalidTarget: .failed
            }
        self.init(kind, reason: "\(error)")
    }
}

extension ConnectFailure.Kind {
    fileprivate init(_ code: OpenCode) {
        self =
            switch code {
            case .refused: .refused
            case .hostUnreachable: .hostUnreachable
            case .networkUnreachable: .networkUnreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit: .limit
            case .ok, .badRequest, .failed: .failed
            }
    }
}

extension FlowOutcome {
    /// What a connection that could not be made counts as.
    package init(_ kind: ConnectFailure.Kind) {
        self =
            switch kind {
            case .refused: .refused
            case .hostUnreachable, .networkUnreachable: .unreachable
            case .nameNotFound: .nameNotFound
            case .timedOut: .timedOut
            case .policy: .policy
            case .limit, .share: .limit
            case .noAgent: .noAgent
            case .failed: .failed
            }
    }
}
