import Basics
import NIOCore
import NIOHTTP1

/// The proxies whose word is taken for where a connection comes from (`--trusted-proxy`).
struct TrustedProxies: Sendable {
    private let blocks: [AddressBlock]

    init(_ blocks: [AddressBlock] = []) { self.blocks = blocks }

    /// Whether there is none.
    var isEmpty: Bool { self.blocks.isEmpty }

    func contains(_ address: SocketAddress) -> Bool {
        guard let address = IPAddress(address)?.canonical else { return false }
        return self.blocks.contains { $0.contains(address) }
    }

    /// Where a request comes from that `proxy` has passed on: the last address of `X-Forwarded-For` that is none of a trusted
    /// proxy, since each proxy adds at the end whom it has heard, and what stands further in front anybody may have written.
    ///
    /// - Returns: nil when `proxy` is not trusted, or says nothing that can be understood.
    func origin(of head: HTTPRequestHead, from proxy: SocketAddress) -> SocketAddress? {
        guard self.contains(proxy) else { return nil }
        for text in head.headers[canonicalForm: "X-Forwarded-For"].reversed() {
            guard let address = Self.address(text) else { return nil }
            if !self.contains(address) { return address }
        }
        return nil
    }

    /// An address as proxies write it: bare, with a port, or in brackets. The port is 0 when there is none.
    private static func address(_ text: Substring) -> SocketAddress? {
        var host = text.drop { $0 == " " }
        while host.last == " " { host.removeLast() }
        var port = 0
        if host.first == "[", let end = host.firstIndex(of: "]") {
            port = Int(host[end...].dropFirst(2)) ?? 0
            host = host[host.index(after: host.startIndex)..<end]
        } else if host.count(where: { $0 == ":" }) == 1, let colon = host.firstIndex(of: ":") {
            port = Int(host[colon...].dropFirst()) ?? 0
            host = host[..<colon]
        }
        // What a proxy that listens on both families calls an IPv4 address (RFC 4291 §2.5.5.2).
        if host.lowercased().hasPrefix("::ffff:"), host.contains(".") { host = host.dropFirst("::ffff:".count) }
        return try? SocketAddress(ipAddress: String(host), port: (0...65_535).contains(port) ? port : 0)
    }
}
