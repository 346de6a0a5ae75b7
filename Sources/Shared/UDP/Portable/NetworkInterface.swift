import LibC
package import NIOCore

/// The network interfaces of this machine, by getifaddrs(3).
package enum NetworkInterface {
    /// The name of the interface that has `address`, whatever its port; nil when none has it.
    package static func name(having address: SocketAddress) -> String? {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else { return nil }
        defer { freeifaddrs(list) }
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let name = entry.ifa_name, SocketAddress(raw: entry.ifa_addr)?.ipAddress == address.ipAddress else {
                continue
            }
            return String(cString: name)
        }
        return nil
    }
}
