/* identity.c - the id of a folder, which lies in it: Mail/.A.B/mailshadow-folder, Calendars/x/mailshadow-folder.
 *
 * A rename keeps it. A copy of the directory carries it as well: the inode beside the id tells which of
 * the two is the original. The inode alone would be no id, because a restored backup has others.
 */
#include "identity.h"

#include "../../common/io.h"
#include "local.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID_FILE_MAX 256

static enum ep_role role_from_name(struct span name)
{
	for (enum ep_role r = EP_ROLE_SENT; r < EP_ROLES; r++) {
		if (r != EP_ROLE_ALL && span_eq_str(name, ep_role_name(r)))
			return r;
	}
	return EP_ROLE_NONE;
}

static bool parse_id(struct span text, struct folder_id *id_r)
{
	struct span word, rest = text;

	*id_r = (struct folder_id){ .role = EP_ROLE_NONE };
	if (!span_next(&rest, ' ', &word) || word.n != 32)
		return false;
	for (size_t i = 0; i < word.n; i++) {
		if (strchr("0123456789abcdef", word.p[i]) == NULL || word.p[i] == '\0')
			return false;
	}
	memcpy(id_r->id, word.p, 32);
	if (!span_next(&rest, ' ', &word) || !span_u64(word, UINT64_MAX, &id_r->ino))
		return false;
	if (span_next(&rest, ' ', &word))
		id_r->role = role_from_name(word);
	return true;
}

/* Read the id file of the folder `fd`: false if there is none or it makes no sense. */
static bool read_id(int fd, struct folder_id *id_r)
{
	char text[ID_FILE_MAX];
	int file = openat(fd, LOCAL_FOLDER, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	size_t n = 0;

	if (file < 0)
		return false;
	bool ok = io_read_full(file, text, sizeof(text), &n, LOCAL_FOLDER, NULL) == E_OK;

	close(file);
	return ok && parse_id(span_trim(span_bytes(text, n)), id_r);
}

uint64_t identity_inode(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

enum code identity_write(int fd, const struct folder_id *id, bool replace, struct err *err)
{
	char text[ID_FILE_MAX];
	int n = snprintf(text, sizeof(text), "%s %" PRIu64 "%s%s\n", id->id, id->ino,
			 id->role != EP_ROLE_NONE ? " " : "", ep_role_name(id->role));

	if (replace)
		return io_replace_file(fd, LOCAL_FOLDER, text, (size_t)n, 0600, err);
	if (maildir_put_new(fd, LOCAL_FOLDER, span_bytes(text, (size_t)n), 0600) != 0 && errno != EEXIST)
		return maildir_errno(err, E_FOLDER_REFUSED, LOCAL_FOLDER);
	return E_OK;
}

void identity_random(struct folder_id *id)
{
	uint8_t rnd[16];

	random_bytes(rnd, sizeof(rnd));
	hex_encode(rnd, sizeof(rnd), id->id);
}

enum code local_new_folder_id(int fd, enum ep_role role, struct err *err)
{
	struct folder_id id = { .ino = identity_inode(fd), .role = role };

	identity_random(&id);
	return identity_write(fd, &id, false, err);
}

bool identity_get(int fd, struct folder_id *id_r)
{
	struct err err = ERR_INIT;

	if (read_id(fd, id_r))
		return true;
	/* a file that makes no sense (cut off by a crash) is replaced */
	if (faccessat(fd, LOCAL_FOLDER, F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
		*id_r = (struct folder_id){ .ino = identity_inode(fd) };
		identity_random(id_r);
		return identity_write(fd, id_r, true, &err) == E_OK;
	}
	/* another worker may be at it: whoever was first wins, so read what is there now */
	return local_new_folder_id(fd, EP_ROLE_NONE, &err) == E_OK && read_id(fd, id_r);
}
