import ArgumentParser
import CommandSupport
import SOCKS

/// `--listen`, `--auth`, `--max-connections`.
struct ProxyOptions: ParsableArguments {
    @Option(
        name: .customLong("listen"),
        help: ArgumentHelp(
            "Address and port to listen on. Port 0 takes a free one; :2080 listens on all addresses (default: "
                + "127.0.0.1:2080).",
            valueName: "address:port"),
        transform: { try Self.listenAddress($0) })
    private var givenAddress: ListenAddress?

    @Option(
        name: .customLong("auth"),
        help: ArgumentHelp(
            "Demand a login with this user and password. SOCKS 4 clients, which have no login, are refused. Repeatable.",
            valueName: "user:password"),
        transform: { try User(parsing: $0) })
    private var users: [User] = []

    @Option(
        name: .customLong("max-connections"),
        help: ArgumentHelp("How many clients may be connected at once. Further clients wait.", valueName: "n"))
    var maximumConnections = 4096

    /// Where to listen.
    func address() throws -> ListenAddress { try self.givenAddress ?? Self.listenAddress("2080") }

    private static func listenAddress(_ text: String) throws -> ListenAddress {
        try ListenAddress(parsing: text, defaultHost: "127.0.0.1")
    }

    /// Who may use the proxy.
    var credentials: SOCKSCredentials {
        var credentials = SOCKSCredentials()
        // The parser has made sure that each fits.
        for user in self.users { _ = credentials.add(user: user.name, password: user.password) }
        return credentials
    }

    /// What can change while the proxy runs.
    static let atRunTime: Set<String> = ["auth", "max-connections"]

    mutating func validate() throws {
        guard self.maximumConnections > 0 else { throw ValidationError("--max-connections must be at least 1") }
    }

    private struct User {
        let name: String
        let password: String

        init(parsing text: String) throws {
            guard let colon = text.firstIndex(of: ":") else { throw ValidationError("expected user:password") }
            self.name = String(text[..<colon])
            self.password = String(text[text.index(after: colon)...])
            var credentials = SOCKSCredentials()
            guard credentials.add(user: self.name, password: self.password) else {
                throw ValidationError("user and password need 1 to 255 bytes each")
            }
        }
    }
}
