// The C library under one name, whatever the system calls it: `import LibC` brings all of it.
#if canImport(Darwin)
@_exported public import Darwin
#elseif canImport(Musl)
@_exported public import Musl
#else
@_exported public import Glibc
#endif

// And what all systems have, but their headers declare or name differently.

/// Kinds of socket as socket(2) takes them; an enumeration in glibc.
package enum SocketKind {
    #if canImport(Glibc)
    package static let stream = CInt(SOCK_STREAM.rawValue)
    package static let datagram = CInt(SOCK_DGRAM.rawValue)
    #else
    package static let stream = SOCK_STREAM
    package static let datagram = SOCK_DGRAM
    #endif
}

/// Resources as getrlimit(2) takes them; an enumeration in glibc.
package enum ResourceLimit {
    #if canImport(Glibc)
    package static let openFiles = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    package static let coreFileSize = __rlimit_resource_t(RLIMIT_CORE.rawValue)
    #else
    package static let openFiles = RLIMIT_NOFILE
    package static let coreFileSize = RLIMIT_CORE
    #endif
}

/// Options of TCP sockets.
package enum TCPOption {
    #if canImport(Darwin)
    /// How long a connection is silent, in seconds, before the first question whether anybody is there.
    package static let keepaliveIdle = TCP_KEEPALIVE
    /// A socket with as many bytes that have not been sent takes no more for the moment.
    package static let unsentLowWaterMark = TCP_NOTSENT_LOWAT
    #else
    /// How long a connection is silent, in seconds, before the first question whether anybody is there.
    package static let keepaliveIdle = TCP_KEEPIDLE
    /// A socket with as many bytes that have not been sent takes no more for the moment (tcp(7); glibc's headers lack it).
    package static let unsentLowWaterMark: CInt = 25
    #endif
}

/// What a process does about a signal.
package enum SignalDisposition {
    /// Whether `signal` does what the system has it do by default: under nohup(1) and the like some are ignored.
    package static func isDefault(_ signal: CInt) -> Bool {
        var action = sigaction()
        guard sigaction(signal, nil, &action) == 0 else { return false }
        #if canImport(Darwin)
        return action.__sigaction_u.__sa_handler == nil
        #else
        return action.__sigaction_handler.sa_handler == nil
        #endif
    }
}

extension stat {
    /// When the file's contents were last changed.
    package var modificationTime: timespec {
        #if canImport(Darwin)
        self.st_mtimespec
        #else
        self.st_mtim
        #endif
    }
}

#if canImport(Darwin)
/// What a thread's function is given.
package typealias ThreadArgument = UnsafeMutableRawPointer
/// What pthread_create(3) fills in.
package typealias ThreadHandle = pthread_t?
/// To be filled in.
package var noThread: ThreadHandle { nil }
#else
/// What a thread's function is given.
package typealias ThreadArgument = UnsafeMutableRawPointer?
/// What pthread_create(3) fills in.
package typealias ThreadHandle = pthread_t
/// To be filled in.
package var noThread: ThreadHandle { pthread_t() }
#endif
