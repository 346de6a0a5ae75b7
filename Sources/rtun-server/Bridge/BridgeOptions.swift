import ArgumentParser

/// The options about what the server carries between peers.
struct BridgeOptions: ParsableArguments {
    @Flag(
        help: ArgumentHelp(
            "Do not relay datagrams between peers that find no direct path. Such peers then have no connection."))
    var noBridge = false

    @Option(
        help: ArgumentHelp(
            "The most that each peer channel may send through the server, in each direction, in bits per second: 500k, "
                + "10M, 1.5G (default: no limit).",
            valueName: "rate"))
    var bridgeRate: String?

    @Option(
        help: ArgumentHelp(
            "The most that all peer channels together may send through the server, in bits per second (default: no "
                + "limit).",
            valueName: "rate"))
    var bridgeTotalRate: String?

    /// What the bridge is to carry; nil: nothing. Throws `ValidationError`.
    func limits() throws -> BridgeScheduler.Limits? {
        var limits = BridgeScheduler.Limits()
        limits.channelRate = try Self.rate(self.bridgeRate, of: "--bridge-rate")
        limits.totalRate = try Self.rate(self.bridgeTotalRate, of: "--bridge-total-rate")
        guard self.noBridge else { return limits }
        guard limits.channelRate == nil, limits.totalRate == nil else {
            throw ValidationError("--bridge-rate and --bridge-total-rate make no sense with --no-bridge")
        }
        return nil
    }

    private static func rate(_ text: String?, of option: String) throws -> BitRate? {
        guard let text else { return nil }
        do {
            return try BitRate.parse(text)
        } catch {
            throw ValidationError("\(option): \(error)")
        }
    }
}
