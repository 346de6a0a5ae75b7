import LibC
package import NIOCore
import UDP

/// One address of one network interface of this machine.
package struct InterfaceAddress: Hashable, Sendable {
    package let interface: String
    /// Port 0.
    package let address: SocketAddress
    package let isUp: Bool
    /// The interface has a carrier: a cable, a radio network.
    package let isRunning: Bool
    package let isLoopback: Bool

    package init(interface: String, address: SocketAddress, isUp: Bool, isRunning: Bool = true, isLoopback: Bool) {
        self.interface = interface
        self.address = address
        self.isUp = isUp
        self.isRunning = isRunning
        self.isLoopback = isLoopback
    }
}

extension InterfaceAddress {
    /// What the machine has now, in the kernel's order of interfaces. Throws `IOError`.
    ///
    /// Not NIO's `System.enumerateDevices`, which does not tell whether a device is up.
    package static func all() throws(IOError) -> [InterfaceAddress] {
        var list: UnsafeMutablePointer<ifaddrs>?
        guard getifaddrs(&list) == 0 else {
            throw IOError(errnoCode: errno, reason: "getifaddrs")
        }
        defer { freeifaddrs(list) }
        var result: [InterfaceAddress] = []
        var next = list
        while let entry = next?.pointee {
            next = entry.ifa_next
            guard let name = entry.ifa_name, let address = SocketAddress(raw: entry.ifa_addr) else {
                continue
            }
            let flags = entry.ifa_flags
            result.append(
                InterfaceAddress(
                    interface: String(cString: name), address: address,
                    isUp: flags & UInt32(IFF_UP) != 0, isRunning: flags & UInt32(IFF_RUNNING) != 0,
                    isLoopback: flags & UInt32(IFF_LOOPBACK) != 0))
        }
        return result
    }
}
