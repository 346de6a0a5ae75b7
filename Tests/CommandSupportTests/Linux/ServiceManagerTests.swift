import Foundation
import Glibc
import Testing

@testable import CommandSupport

@Suite struct ServiceManagerTests {
    @Test(arguments: ["/tmp/rtun-notify-\(getpid())", "@rtun-notify-\(getpid())"])
    func `a state arrives at the notification socket`(path: String) throws {
        let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
        defer {
            close(descriptor)
            unlink(path)
        }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        if path.hasPrefix("@") { address.sun_path.0 = 0 }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + path.utf8.count)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0)

        ServiceManager.send("READY=1", to: path)

        var buffer = [UInt8](repeating: 0, count: 64)
        let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        try #require(count > 0)
        #expect(String(decoding: buffer[..<count], as: UTF8.self) == "READY=1")
    }

    @Test func `a missing notification socket, or one with an impossible name, is ignored`() {
        ServiceManager.send("READY=1", to: "/nonexistent/socket")
        ServiceManager.send("READY=1", to: "")
        ServiceManager.send("READY=1", to: "@" + String(repeating: "x", count: 500))
    }
}
