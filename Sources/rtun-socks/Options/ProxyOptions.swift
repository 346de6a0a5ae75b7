import ArgumentParser
import CommandSupport
import SOCKS

/// `--listen`, `--auth`, `--http-forwarded`, `--max-connections`.
struct ProxyOptions: ParsableArguments {
    @Option(
        name: .customLong("listen"),
        help: ArgumentHelp(
            "Address and port to listen on, for SOCKS and HTTP clients alike. Port 0 takes a free one; :2080 listens on all "
                + "addresses; unix:/path on a socket in the file system, for this user only. Repeatable (default: "
                + "127.0.0.1:2080).",
            valueName: "address:port"),
        transform: { try Self.place($0) })
    private var givenPlaces: [ListenPlace] = []

    @Option(
        name: .customLong("auth"),
        help: ArgumentHelp(
            "Demand a login with this user and password, of SOCKS 5 clients and of HTTP clients (Basic). SOCKS 4 clients, "
                + "which have no login, are refused. Repeatable.",
            valueName: "user:password"),
        transform: { try User(parsing: $0) })
    private var users: [User] = []

    @Flag(
        name: .customLong("http-forwarded"),
        help: ArgumentHelp(
            "Tell web servers that a proxy asks, and for whom, with Via and X-Forwarded-For, in requests for http:// URLs. "
                + "Otherwise nothing is added to them."))
    var announcesClients = false

    @Option(
        name: .customLong("max-connections"),
        help: ArgumentHelp("How many clients may be connected at once. Further clients wait.", valueName: "n"))
    var maximumConnections = 4096

    /// Where to listen.
    func places() throws -> [ListenPlace] { self.givenPlaces.isEmpty ? [try Self.place("2080")] : self.givenPlaces }

    private static func place(_ text: String) throws -> ListenPlace {
        try ListenPlace(parsing: text, defaultHost: "127.0.0.1")
    }

    /// Who may use the proxy.
    var credentials: SOCKSCredentials {
        var credentials = SOCKSCredentials()
        // The parser has made sure that each fits.
        for user in self.users { _ = credentials.add(user: user.name, password: user.password) }
        return credentials
    }

    /// What can change while the proxy runs.
    static let atRunTime: Set<String> = ["auth", "http-forwarded", "max-connections"]

    mutating func validate() throws {
        if let twice = self.givenPlaces.first(where: { place in self.isTwice(place) }) {
            throw ValidationError("--listen \(twice) is there twice")
        }
        guard self.maximumConnections > 0 else { throw ValidationError("--max-connections must be at least 1") }
    }

    /// Port 0 may be asked for several times.
    private func isTwice(_ place: ListenPlace) -> Bool {
        if case .network(let address) = place, address.port == 0 { return false }
        return self.givenPlaces.filter { $0 == place }.count > 1
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
