#include "sandbox/messages.h"

#include <sys/socket.h>

#include <cstring>

namespace assay::sandbox {

void send_message(int socket, const Message& message, int descriptor) {
  iovec part = {const_cast<Message*>(&message), sizeof(message)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  if (descriptor >= 0) {
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &descriptor, sizeof(int));
  }
  sendmsg(socket, &header, MSG_NOSIGNAL);
}

bool receive_message(int socket, Message& message, Descriptor& descriptor) {
  iovec part = {&message, sizeof(message)};
  msghdr header = {};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t count = recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  for (cmsghdr* part_of = CMSG_FIRSTHDR(&header); count > 0 && part_of != nullptr;
       part_of = CMSG_NXTHDR(&header, part_of)) {
    if (part_of->cmsg_level != SOL_SOCKET || part_of->cmsg_type != SCM_RIGHTS) continue;
    int number = -1;
    memcpy(&number, CMSG_DATA(part_of), sizeof(int));
    descriptor = Descriptor(number);
  }
  return count == static_cast<ssize_t>(sizeof(message));
}

std::string_view describe(Stage stage) {
  switch (stage) {
    case Stage::cgroup:
      return "entering the control group";
    case Stage::user_map:
      return "mapping the user";
    case Stage::private_mounts:
      return "making the mounts private";
    case Stage::source:
      return "opening";
    case Stage::owner:
      return "mapping the owner of the private";
    case Stage::root:
      return "mounting the root folder";
    case Stage::step:
      return "building the file view at";
    case Stage::input:
      return "writing the input file";
    case Stage::pivot:
      return "changing the root folder";
    case Stage::host_name:
      return "setting the host name";
    case Stage::init:
      return "starting init";
    case Stage::fork:
      return "forking";
    case Stage::descriptors:
      return "arranging the descriptors";
    case Stage::resource_limits:
      return "setting the resource limit";
    case Stage::privileges:
      return "dropping privileges";
    case Stage::landlock:
      return "applying Landlock";
    case Stage::filter:
      return "applying the system call filter";
    case Stage::listener:
      return "listening to the system call filter";
    case Stage::execute:
      return "executing";
  }
  return "setting up";
}

}  // namespace assay::sandbox
