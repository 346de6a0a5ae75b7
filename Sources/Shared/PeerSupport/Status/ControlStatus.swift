package import Admin
package import Basics
package import Signaling

/// What a control connection is like at one moment.
package struct ControlStatus: Sendable {
    package let server: String
    package let isConnected: Bool
    /// The server, as it was reached.
    let address: String?
    /// This program, as the server sees it.
    let observed: String?
    let software: String?
    package let bridge: BridgeStatistics

    /// The connection as it is now. On its event loop.
    package init(_ client: SignalClient) {
        let session = client.session
        self.server = "\(client.configuration.server)"
        self.isConnected = session != nil
        self.address = session?.remoteAddress?.authority
        self.observed = session?.welcome.observedAddress
        self.software = session?.welcome.software
        self.bridge = client.bridgeStatistics
    }

    /// The member `server` of the document.
    package var member: JSON.Member {
        .init(
            "server",
            [
                "url": .string(self.server), "connected": .boolean(self.isConnected), "address": JSON(self.address),
                "software": JSON(self.software), "observed_address": JSON(self.observed),
            ])
    }

    /// Why a program that needs the server cannot do without it; nil when it is there.
    package var obstacle: String? { self.isConnected ? nil : "there is no connection to the server \(self.server)" }

    package func addMetrics(to metrics: inout Metrics) {
        metrics.gauge(
            "rtun_server_connected", "Whether the control connection to the server is up.", self.isConnected ? 1 : 0)
        metrics.counter(
            "rtun_bridge_sent_datagrams_total", "Datagrams handed to the control connection for the bridge.",
            self.bridge.sent)
        metrics.counter(
            "rtun_bridge_dropped_datagrams_total", "Datagrams for the bridge that were dropped here, by reason.",
            by: "reason",
            [
                ("queue_full", self.bridge.droppedFull), ("too_old", self.bridge.droppedTooOld),
                ("no_connection", self.bridge.droppedWithoutConnection),
            ])
    }
}
