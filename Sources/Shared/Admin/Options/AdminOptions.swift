package import ArgumentParser
package import CommandSupport

/// `--admin`, `--admin-token-file`, and what asks there: `--status`, `--json`, `--healthcheck`.
package struct AdminOptions: ParsableArguments {
    @Option(
        name: .customLong(Self.placeName),
        help: ArgumentHelp(
            "Serve a status page, /metrics for Prometheus, /status.json, /healthz and /readyz over HTTP here: an address and "
                + "port, a port alone (on 127.0.0.1), or unix:/path. Other than on loopback it needs --admin-token-file.",
            valueName: "host:port"),
        transform: {
            do { return try ListenPlace(admin: $0) } catch { throw ValidationError("--admin: \(error)") }
        })
    package var place: ListenPlace?

    @Option(
        name: .customLong(Self.tokenFileName),
        help: ArgumentHelp(
            "Demand the token in this file of whoever asks at --admin: as a bearer token, or in a browser as the password of "
                + "any user. At least 16 bytes.",
            valueName: "file"))
    package var tokenFile: String?

    @Flag(
        name: .customLong(Self.statusName),
        help: ArgumentHelp(
            "Print the status of the program that runs with the same --admin, as a table, and exit. Needs neither URL nor "
                + "secret."))
    package var wantsStatus = false

    @Flag(name: .customLong(Self.jsonName), help: "With --status: print it as JSON.")
    package var wantsJSON = false

    @Flag(
        name: .customLong(Self.healthcheckName),
        help: ArgumentHelp(
            "Ask the program that runs on this machine with the same --admin (rtun-server: or else with the same --addr) "
                + "whether it is healthy, and exit: 0 if it is, 69 if not. Needs neither URL nor secret."))
    package var wantsHealthcheck = false

    package init() {}

    static let placeName = "admin"
    static let tokenFileName = "admin-token-file"
    static let statusName = "status"
    static let jsonName = "json"
    static let healthcheckName = "healthcheck"

    package mutating func validate() throws {
        if self.wantsJSON, !self.wantsStatus { throw ValidationError("--json goes with --status") }
        if self.tokenFile != nil, self.place == nil {
            throw ValidationError("--admin-token-file goes with --admin, which says where to listen")
        }
    }

    /// Looks at what a start would look at. Throws what it would throw.
    package func check() throws(ProgramError) {
        guard let place else { return }
        _ = try AdminAccess(place, addresses: try place.addresses(), token: try AdminToken.load(self.tokenFile))
    }
}
