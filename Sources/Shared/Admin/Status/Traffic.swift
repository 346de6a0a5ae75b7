package import Basics
package import FlowLedger

/// What has passed through a program since its start.
package struct Traffic: Sendable {
    package var total: FlowTraffic
    /// The same for parts of it that live, such as peers, by ids of the program's choosing. The program bounds their number.
    package var parts: [String: FlowTraffic]

    package init(total: FlowTraffic = FlowTraffic(), parts: [String: FlowTraffic] = [:]) {
        self.total = total
        self.parts = parts
    }
}

extension FlowTraffic {
    /// `{"sent":…,"received":…}`.
    package var json: JSON { ["sent": .unsigned(self.sent), "received": .unsigned(self.received)] }
}

extension FlowTraffic? {
    /// As ``FlowTraffic/json``; null for nil.
    package var json: JSON { self?.json ?? .null }
}
