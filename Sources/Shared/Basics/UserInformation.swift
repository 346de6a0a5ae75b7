/// The user's name and password that somebody may have put into a URL by mistake.
package enum UserInformation {
    /// `url` without them: `https://***@host`, also where the scheme lacks.
    package static func masked(in url: String) -> String {
        guard let at = url.lastIndex(of: "@") else { return url }
        let start = url.firstIndex(of: ":").flatMap { colon -> String.Index? in
            guard colon < at, url[colon...].hasPrefix("://") else { return nil }
            return url.index(colon, offsetBy: 3)
        }
        return url[..<(start ?? url.startIndex)] + "***" + url[at...]
    }
}
