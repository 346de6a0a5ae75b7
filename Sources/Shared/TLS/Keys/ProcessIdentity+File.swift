import Crypto
import LibC
import OperatingSystem

extension ProcessIdentity {
    /// What is wrong with a file that a key is kept in. The descriptions name the file, and what to do.
    package enum FileError: Error, Hashable, Sendable, CustomStringConvertible {
        case cannotRead(path: String, reason: String)
        case cannotCreate(path: String, reason: String)
        /// Others may read it.
        case open(path: String, mode: UInt32)
        /// It holds no P-256 key with its certificate.
        case unusable(path: String)
        /// OpenSSL cannot make a key.
        case failed(TLSError)

        package var description: String {
            switch self {
            case .cannotRead(let path, let reason):
                "cannot read the key in \(path): \(reason)"
            case .cannotCreate(let path, let reason):
                "cannot make a key in \(path): \(reason)"
            case .open(let path, let mode):
                """
                the key in \(path) is open to others (mode 0\(String(mode, radix: 8))), so it proves nothing: \
                chmod 600 \(path)
                """
            case .unusable(let path):
                """
                \(path) does not hold an unencrypted P-256 key and its certificate, both PEM; name a file that does not exist \
                yet, and it is made
                """
            case .failed(let error):
                "\(error)"
            }
        }
    }

    /// Two blocks of PEM take some 900 bytes.
    private static let maximumFile = 64 * 1024

    /// The key that the file at `path` keeps. Throws when there is none.
    package convenience init(keptIn path: String) throws(FileError) {
        let contents: [UInt8]
        do {
            contents = try PrivateFile.contents(of: path, limit: Self.maximumFile)
        } catch {
            switch error {
            case .open(let mode): throw .open(path: path, mode: mode)
            case .system(let code): throw .cannotRead(path: path, reason: SystemError.text(code))
            case .tooLarge, .notAFile: throw .unusable(path: path)
            }
        }
        do {
            guard let parts = try KeyFileParts(pem: contents) else { throw FileError.unusable(path: path) }
            try self.init(parts, isKept: true)
        } catch let error as FileError {
            throw error
        } catch let error as TLSError {
            throw .failed(error)
        } catch {
            throw .unusable(path: path)
        }
    }

    /// Throws what is wrong with the file at `path`, should there be one.
    package static func check(_ path: String) throws(FileError) {
        guard !Self.isMissing(path) else { return }
        _ = try ProcessIdentity(keptIn: path)
    }

    /// Where the way to it is barred it counts as there: the attempt to read says that better.
    private static func isMissing(_ path: String) -> Bool {
        access(path, F_OK) != 0 && errno == ENOENT
    }

    /// The key that the file at `path` keeps; makes one when there is no file.
    ///
    /// - Parameter commonName: of its certificate, for people who look at one.
    package static func keeping(in path: String, commonName: String) throws(FileError) -> ProcessIdentity {
        guard Self.isMissing(path) else { return try ProcessIdentity(keptIn: path) }
        let identity: Identity
        do {
            identity = try Identity.selfSigned(commonName: commonName)
        } catch {
            throw .failed(error)
        }
        do {
            // Where another process was faster its key is the one.
            _ = try PrivateFile.make(at: path, identity.certificateChainPEM + identity.privateKeyPEM)
        } catch {
            switch error {
            case .system(_, let code): throw .cannotCreate(path: path, reason: SystemError.text(code))
            }
        }
        return try ProcessIdentity(keptIn: path)
    }
}
