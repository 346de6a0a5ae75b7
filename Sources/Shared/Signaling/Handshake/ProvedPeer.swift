package import AppProto

/// An agent or a client that has proved the secret.
package struct ProvedPeer: Hashable, Sendable {
    /// What it said.
    package let hello: Hello
    /// The key that it has proved; nil from programs before 0.13.
    package let key: ProvedKey?

    package init(hello: Hello, key: ProvedKey?) {
        self.hello = hello
        self.key = key
    }
}
