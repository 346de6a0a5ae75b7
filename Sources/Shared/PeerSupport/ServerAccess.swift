import AppProto
package import ArgumentParser
import Basics
package import CommandSupport
import NIOCore
import NIOPosix
import OperatingSystem
package import Signaling

/// Where the server is, and the secret that it lets a program in with.
package struct ServerAccess: Sendable {
    package let place: ServerPlace
    let secret: Secret
    /// Looks for the secret where it was found, which may take its time; nil: it was in no file.
    let readAgain: (@Sendable () throws -> Secret)?
}

extension SecretFile.Role {
    /// The same in messages.
    fileprivate var inMessages: AppProto.Role { self == .agent ? .agent : .client }
}

extension ServerConnectionOptions {
    /// The largest file with links.
    private static let maximumFileSize = 64 * 1024

    /// Where the server is, and what to say to it. A secret that is given by an option counts more than that of a link, which
    /// counts more than `RTUN_SECRET`.
    ///
    /// Throws with exit code 64 when something lacks or cannot be understood, 69 when a file cannot be read.
    package func access(for role: SecretFile.Role, _ options: SecretOptions) throws(ProgramError) -> ServerAccess {
        let given = try options.loadIfAny()
        let place = try self.place(for: role)
        if case .link(let link) = place, given == nil || !options.isGivenByOption {
            var readAgain: (@Sendable () throws -> Secret)?
            if let file = self.linkFile, FileAccess.isRegular(file) {
                readAgain = { Secret(bytes: try Self.link(in: file, for: role).secret) }
            }
            return ServerAccess(place: place, secret: Secret(bytes: link.secret), readAgain: readAgain)
        }
        guard let given else {
            throw options.noneGiven(advice: "give a link 'rtun://…' in place of the URL, which holds one")
        }
        var readAgain: (@Sendable () throws -> Secret)?
        if case .file(_, let path) = given, FileAccess.isRegular(path) {
            readAgain = {
                try SecretOptions.Given.file(SecretOptions.read(path, isQuiet: true), path: path).secret(for: role)
            }
        }
        return ServerAccess(place: place, secret: try given.secret(for: role), readAgain: readAgain)
    }

    private func place(for role: SecretFile.Role) throws(ProgramError) -> ServerPlace {
        if let file = self.linkFile {
            FileAccess.warn(of: file, holding: "secret")
            return .link(try Self.link(in: file, for: role))
        }
        guard let place = try self.placeGivenInWords(for: role) else { throw Self.noServer }
        return place
    }

    /// For a command's `validate()`: throws what is wrong with the URL or the link.
    package func validate(for role: SecretFile.Role) throws(ValidationError) {
        do throws(ProgramError) {
            guard try self.placeGivenInWords(for: role) != nil || self.linkFile != nil else { throw Self.noServer }
        } catch {
            throw ValidationError(error.message)
        }
    }

    private static let noServer = ProgramError(
        .usage,
        """
        no server given: say a link 'rtun://…' or a URL https://… or quic://…, or set RTUN_LINK; rtun-server --print-links \
        prints links
        """)

    /// The URL or the link; nil when there is none but perhaps in a file.
    private func placeGivenInWords(for role: SecretFile.Role) throws(ProgramError) -> ServerPlace? {
        guard let text = self.link ?? self.url else { return nil }
        if self.link == nil, !ServerLink.isMeant(by: text) {
            do {
                return .url(try ServerURL(parsing: text))
            } catch {
                throw ProgramError(.usage, LinkSecret.masked(in: "\(error)"))
            }
        }
        do {
            return .link(try Self.link(text, for: role))
        } catch {
            throw ProgramError(.usage, "invalid link: \(error)")
        }
    }

    private static func link(_ text: String, for role: SecretFile.Role) throws(ServerLinkError) -> ServerLink {
        let link = try ServerLink(parsing: text)
        if let owner = link.role, owner != role.inMessages { throw .otherRole(owner) }
        return link
    }

    /// The first link in a file that is for that role: alone in its line, or as rtun-server prints it, with a program in front.
    static func link(in file: String, for role: SecretFile.Role) throws(ProgramError) -> ServerLink {
        let contents: [UInt8]
        do {
            contents = try SmallFile.contents(of: file, limit: Self.maximumFileSize)
        } catch {
            throw ProgramError(.unavailable, "cannot read the file \(file) given by --link-file: \(error)")
        }
        var problem = ServerLinkError.noLink
        for line in contents.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D }) {
            guard let start = LinkSecret.start(in: line) else { continue }
            do {
                return try Self.link(String(decoding: line.dropFirst(start), as: UTF8.self), for: role)
            } catch {
                problem = error
            }
        }
        throw ProgramError(.usage, "the file \(file) given by --link-file holds no link for this program: \(problem)")
    }
}

extension ServerAccess {
    /// Looks for the secret once more, and makes its key; for ``SignalClientConfiguration/currentKey``.
    func currentKey(on eventLoop: any EventLoop) -> EventLoopFuture<SharedKey?> {
        let readAgain = self.readAgain
        return NIOThreadPool.singleton.runIfActive(eventLoop: eventLoop) {
            try readAgain.map { try SharedKey(secret: $0().bytes) }
        }
    }
}
