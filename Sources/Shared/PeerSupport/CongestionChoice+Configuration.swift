import CommandSupport
import QUIC

extension CongestionChoice {
    var configurationValue: CongestionControl {
        switch self {
        case .bbr: .bbr
        case .cubic: .cubic
        }
    }
}
