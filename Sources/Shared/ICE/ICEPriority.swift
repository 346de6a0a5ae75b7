package import NIOCore
import STUN

/// The formulas of RFC 8445 that rank candidates and pairs.
package enum ICEPriority {
    /// We have one component, RTP's; its number enters the priorities (RFC 8445 §5.1.2.1).
    private static let component: UInt32 = 1

    /// RFC 8445 §5.1.2.2
    static func typePreference(_ kind: ICECandidate.Kind) -> UInt32 {
        switch kind {
        case .host: 126
        case .peerReflexive: 110
        case .serverReflexive: 100
        case .relayed: 0
        }
    }

    /// `2^24 × type preference + 2^8 × local preference + (256 - component)` (RFC 8445 §5.1.2.1)
    package static func candidate(_ kind: ICECandidate.Kind, localPreference: UInt16) -> UInt32 {
        self.typePreference(kind) << 24 | UInt32(localPreference) << 8 | (256 - self.component)
    }

    /// The local preference inside a candidate's priority.
    static func localPreference(of priority: UInt32) -> UInt16 {
        UInt16(truncatingIfNeeded: priority >> 8)
    }

    /// IPv6 over IPv4 on the same interface, interfaces in order, the families taking turns so that neither is starved
    /// on a machine with many interfaces (RFC 8421 §4).
    package static func localPreference(interfaceIndex: Int, address: SocketAddress) -> UInt16 {
        let rank = UInt16(clamping: min(max(interfaceIndex, 0), 0x7FFF))
        let isIPv4 = TransportAddress(address)?.family != .ipv6
        return .max - 2 * rank - (isIPv4 ? 1 : 0)
    }

    /// What the candidate would be worth as a peer-reflexive one: the value of PRIORITY (RFC 8445 §7.1.1).
    static func peerReflexive(from priority: UInt32) -> UInt32 {
        self.typePreference(.peerReflexive) << 24 | priority & 0x00FF_FFFF
    }

    /// `2^32 × min(G,D) + 2 × max(G,D) + (G > D ? 1 : 0)`, G the controlling side's candidate (RFC 8445 §6.1.2.3).
    static func pair(controlling: UInt32, controlled: UInt32) -> UInt64 {
        let low = UInt64(min(controlling, controlled))
        let high = UInt64(max(controlling, controlled))
        // Overflows for one input only: both 2^32-1. RFC 8445 allows no more than 2^31-1, but peers may claim anything.
        let (sum, overflow) = (low << 32).addingReportingOverflow(2 * high + (controlling > controlled ? 1 : 0))
        return overflow ? .max : sum
    }

    /// Equal for candidates of one kind, base address and STUN server (RFC 8445 §5.1.1.3): a hash of them, so that
    /// both are not spelled out.
    static func foundation(_ kind: ICECandidate.Kind, base: SocketAddress, server: SocketAddress?) -> String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325  // FNV-1a
        func mix(_ bytes: some Sequence<UInt8>) {
            for byte in bytes {
                hash = (hash ^ UInt64(byte)) &* 0x0100_0000_01B3
            }
        }
        mix(kind.rawValue.utf8)
        for address in [base, server].compactMap({ $0 }) {
            mix([0])
            mix(TransportAddress(address)?.octets ?? [])
        }
        return String(hash, radix: 16)
    }
}
