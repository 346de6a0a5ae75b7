import CommandSupport

@testable import Signaling

/// The URL of a server, and other addresses of the command line.
func fuzzURL(_ bytes: UnsafeRawBufferPointer) throws {
    let text = FuzzInput(bytes).text()
    do {
        let url = try ServerURL(parsing: text)
        try promise((try? ServerURL(parsing: url.description)) == url, "\(url) does not mean itself")
        try promise(!url.host.isEmpty && url.port != 0, "nothing to connect to")
        try promise(url.webSocketPath(for: .agent).hasPrefix("/"), "no path to a WebSocket")
        _ = url.hostIsLoopback
    } catch let error as ServerURLError {
        try promise(error.description.contains(error.problem), "the problem is not in the description")
    }
    do {
        let address = try HostPort(parsing: text, defaultPort: 1)
        try promise((try? HostPort(parsing: address.description)) == address, "\(address) does not mean itself")
    } catch let error as HostPortError {
        _ = error.description
    }
}
