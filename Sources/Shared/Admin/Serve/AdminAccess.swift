import Basics
import CommandSupport
import NIOCore
import NIOHTTP1
import PlainHTTP

/// Who may ask at `--admin`.
///
/// With a token, who shows it. Without one, who is on this machine; but a browser on this machine may ask on behalf of a page
/// from elsewhere, whose name has been made to lead to loopback (DNS rebinding). It tells the name of that page's host, so only
/// names that always mean this machine are answered.
struct AdminAccess: Sendable {
    private enum Rule {
        case token(AdminToken)
        /// Host is one of these, or an address of loopback.
        case hosts(Set<String>)
        /// A socket in the file system: its owner alone can connect, and no page can.
        case everybody
    }

    private let rule: Rule

    /// - Parameter addresses: what `place` stands for; none for a path.
    /// - Throws: with exit code 64 when strangers could ask without a token.
    init(_ place: ListenPlace, addresses: [SocketAddress], token: AdminToken?) throws(ProgramError) {
        switch (place, token) {
        case (_, let token?): self.rule = .token(token)
        case (.unix, nil): self.rule = .everybody
        case (.network(let address), nil):
            guard addresses.allSatisfy(\.isLoopback) else {
                throw ProgramError(
                    .usage,
                    """
                    --admin \(address) can be reached from other machines, which it would tell who uses what: give a token \
                    with --admin-token-file FILE ("openssl rand -hex 32 > FILE" makes one), or listen on 127.0.0.1 or \
                    unix:/path
                    """)
            }
            self.rule = .hosts(["localhost", address.host.lowercased()])
        }
    }

    /// The answer to a request that may not be answered otherwise; nil for one that may.
    func refusal(of head: HTTPRequestHead) -> PlainResponse? {
        let hosts = head.headers["host"]
        // "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1 request message that lacks a Host header
        // field and to any request message that contains more than one Host header field line" (RFC 9112 §3.2). Only proxies are
        // asked with another form of target than a path.
        guard hosts.count <= 1, hosts.count == 1 || head.version.minor == 0, head.uri.hasPrefix("/") else {
            return PlainResponse(status: .badRequest, body: "one Host field and a path are needed\n")
        }
        switch self.rule {
        case .everybody: return nil
        case .token(let token):
            if token.isShown(in: head.headers) { return nil }
            var headers = HTTPHeaders()
            headers.add(name: "WWW-Authenticate", value: "Bearer realm=\"rtun\"")
            headers.add(name: "WWW-Authenticate", value: "Basic realm=\"rtun: any user, the token as the password\"")
            return PlainResponse(
                status: .unauthorized, body: "the token of --admin-token-file is needed\n", headers: headers)
        case .hosts(let names):
            // Browsers always tell it.
            guard let host = hosts.first else { return nil }
            guard let name = Self.name(of: host) else {
                return PlainResponse(status: .badRequest, body: "the Host field is not a host\n")
            }
            let isLoopback = (try? SocketAddress(ipAddress: name, port: 0))?.isLoopback ?? false
            // A name below localhost is loopback, too (RFC 6761 §6.3).
            if names.contains(name) || name.hasSuffix(".localhost") || isLoopback { return nil }
            return PlainResponse(
                status: .misdirectedRequest,
                body: "this is not the place for that Host; ask for localhost, or for the address that is listened on\n"
            )
        }
    }

    /// The host in a Host field (RFC 9110 §7.2), in lower case, an IPv6 address without brackets; nil when it is none.
    static func name(of field: String) -> String? {
        var rest = field[...]
        var name: Substring
        if rest.hasPrefix("[") {
            guard let end = rest.firstIndex(of: "]") else { return nil }
            name = rest[rest.index(after: rest.startIndex)..<end]
            rest = rest[rest.index(after: end)...]
            guard name.contains(":") else { return nil }
        } else {
            name = rest.prefix { $0 != ":" }
            rest = rest[name.endIndex...]
            if name.hasSuffix(".") { name.removeLast() }
            guard name.utf8.allSatisfy({ Self.isNameByte($0) }) else { return nil }
        }
        guard !name.isEmpty,
            rest.isEmpty || rest.first == ":" && rest.dropFirst().utf8.allSatisfy({ 0x30...0x39 ~= $0 })
        else { return nil }
        return name.lowercased()
    }

    /// Letters, digits, and what else stands in names and addresses.
    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"): true
        default: false
        }
    }
}

extension ListenPlace {
    /// Reads what `--admin` says: an address and port, a port alone (on 127.0.0.1), or `unix:/path`.
    init(admin text: String) throws(ListenPlaceError) { try self.init(parsing: text, defaultHost: "127.0.0.1") }

    /// What to listen on, with a socket each; none for a path. Throws with exit code 69 for a name without an address.
    func addresses() throws(ProgramError) -> [SocketAddress] {
        if case .network(let address) = self { try address.resolve() } else { [] }
    }
}
