import BenchSupport
import CLinuxBench
import Glibc

/// A TUN device inside a network namespace, with an address, up. It goes away with the process.
struct TunDevice {
    let descriptor: Int32

    /// 1500 bytes, the MTU of Ethernet.
    static let mtu = 1500
    /// Packets that the kernel keeps for us while we do something else.
    private static let queueLength: Int32 = 10_000

    /// Enters the namespace, and stays there; `prefix` is the address as in 198.51.100.1/30.
    init(name: String, namespace: String, prefix: String) {
        let path = namespace.contains("/") ? namespace : "/run/netns/\(namespace)"
        let handle = open(path, O_RDONLY | O_CLOEXEC)
        guard handle >= 0 else { fail("cannot open the network namespace \(path): \(systemError())") }
        guard CLinuxBench_enter_network_namespace(handle) == 0 else {
            fail("cannot enter the network namespace \(path) (are you root?): \(systemError())")
        }
        close(handle)
        self.descriptor = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC)
        guard self.descriptor >= 0 else { fail("cannot open /dev/net/tun: \(systemError())") }
        guard CLinuxBench_attach_tun(self.descriptor, name) == 0 else {
            fail("cannot make the TUN device \(name) in \(path): \(systemError())")
        }
        let (address, length) = Self.parse(prefix)
        let mask = length == 0 ? 0 : UInt32.max << (32 - length)
        let socket = Glibc.socket(AF_INET, Int32(SOCK_DGRAM.rawValue), 0)
        defer { close(socket) }
        guard CLinuxBench_set_address(socket, CLinuxBench_set_interface_address, name, address) == 0,
            CLinuxBench_set_address(socket, CLinuxBench_set_interface_netmask, name, mask.bigEndian) == 0,
            CLinuxBench_set_number(socket, CLinuxBench_set_mtu, name, Int32(Self.mtu)) == 0,
            CLinuxBench_set_number(socket, CLinuxBench_set_queue_length, name, Self.queueLength) == 0,
            CLinuxBench_set_up(socket, name) == 0
        else { fail("cannot configure \(name) in \(path): \(systemError())") }
    }

    private static func parse(_ prefix: String) -> (address: UInt32, length: UInt32) {
        let parts = prefix.split(separator: "/", omittingEmptySubsequences: false)
        var address = in_addr()
        guard parts.count == 2, inet_pton(AF_INET, String(parts[0]), &address) == 1, let length = UInt32(parts[1]),
            length <= 32
        else { fail("an address is like 198.51.100.1/30, not \"\(prefix)\"", code: 64) }
        return (address.s_addr, length)
    }
}
