import Basics
import NIOCore
import NIOPosix
import NameResolution

/// Shows the connector only those addresses of a name that the policy permits, so that a name cannot lead where its addresses
/// may not. Serves one attempt to connect.
struct FilteringResolver: Resolver, Sendable {
    let lookup: NameLookup
    let policy: EgressPolicy
    let port: UInt16

    func initiateAAAAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.lookup.v6Addresses.flatMapThrowing(self.filter)
    }

    func initiateAQuery(host: String, port: Int) -> EventLoopFuture<[SocketAddress]> {
        self.lookup.v4Addresses.flatMapThrowing(self.filter)
    }

    func cancelQueries() { self.lookup.cancel() }

    @Sendable private func filter(_ addresses: [SocketAddress]) throws -> [SocketAddress] {
        let permitted = addresses.filter { address in
            IPAddress(address).map { self.policy.permits($0, port: self.port) } ?? false
        }
        if permitted.isEmpty && !addresses.isEmpty {
            throw DialFailure(.policy, "the agent's policy refuses every address of the name")
        }
        return permitted
    }
}
