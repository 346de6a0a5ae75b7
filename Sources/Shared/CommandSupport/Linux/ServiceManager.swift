import LibC

/// The service manager's notification socket (sd_notify(3)), spoken without libsystemd.
package enum ServiceManager {
    /// Sends `state`, such as `READY=1`, when the program runs under a service manager that asked for it.
    package static func notify(_ state: String) {
        guard let path = getenv("NOTIFY_SOCKET") else { return }
        Self.send(state, to: String(cString: path))
    }

    /// Sends one datagram to the UNIX socket at `path`; a leading "@" names a socket in the abstract namespace.
    static func send(_ state: String, to path: String) {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var pathBytes = Array(path.utf8)
        guard let first = pathBytes.first, first == UInt8(ascii: "/") || first == UInt8(ascii: "@"),
            pathBytes.count < MemoryLayout.size(ofValue: address.sun_path)
        else { return }
        if first == UInt8(ascii: "@") { pathBytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: pathBytes) }
        // An abstract name is as long as the address says; zeros behind it would be part of the name.
        let pathOffset = MemoryLayout.offset(of: \sockaddr_un.sun_path) ?? MemoryLayout<sa_family_t>.size
        let length = socklen_t(pathOffset + pathBytes.count)

        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return }
        defer { close(descriptor) }
        let bytes = Array(state.utf8)
        withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { socketAddress in
                _ = sendto(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL), socketAddress, length)
            }
        }
    }
}
