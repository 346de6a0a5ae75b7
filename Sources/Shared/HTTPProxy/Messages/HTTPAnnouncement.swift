/// What servers are told of the proxy and its client, when that is wanted: `Via` (RFC 9110 §7.6.3) and `X-Forwarded-For`.
package struct HTTPAnnouncement: Sendable {
    /// The client's IP address; nil when it has none.
    let client: String?

    package init(client: String?) {
        self.client = client
    }

    /// The version that the message came with, and a name that says nothing about the machine.
    static let via = "1.1 rtun"
    static let oldVia = "1.0 rtun"
}
