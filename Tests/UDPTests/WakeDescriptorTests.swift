import LibC
import NIOCore
import Testing

@testable import UDP

@Suite struct WakeDescriptorTests {
    private func isReadable(_ waker: WakeDescriptor) -> Bool {
        var descriptor = pollfd(fd: waker.readable, events: Int16(POLLIN), revents: 0)
        return poll(&descriptor, 1, 0) == 1
    }

    @Test func `it is readable from the first call until it has been read`() throws {
        let waker = try WakeDescriptor()
        defer { waker.close() }
        #expect(!self.isReadable(waker))
        for calls in [1, 2, 32, 100_000] {
            for _ in 0..<calls { waker.wake() }
            #expect(self.isReadable(waker))
            waker.drain()
            #expect(!self.isReadable(waker))
        }
    }

    @Test func `no child process inherits it`() throws {
        let waker = try WakeDescriptor()
        defer { waker.close() }
        #expect(fcntl(waker.readable, F_GETFD) & FD_CLOEXEC != 0)
    }
}
