"""The order of the elements within items and folders, and which of them a client may not set."""

ITEM = (
    "MimeContent ItemId ParentFolderId ItemClass Subject Sensitivity Body Attachments DateTimeReceived Size "
    "Categories Importance InReplyTo IsSubmitted IsDraft IsFromMe IsResend IsUnmodified "
    "InternetMessageHeaders DateTimeSent DateTimeCreated ResponseObjects ReminderDueBy ReminderIsSet "
    "ReminderNextTime ReminderMinutesBeforeStart DisplayCc DisplayTo DisplayBcc HasAttachments "
    "ExtendedProperty Culture EffectiveRights LastModifiedName LastModifiedTime IsAssociated "
    "WebClientReadFormQueryString WebClientEditFormQueryString ConversationId UniqueBody Flag StoreEntryId "
    "InstanceKey NormalizedBody EntityExtractionResult PolicyTag ArchiveTag RetentionDate Preview "
    "RightsManagementLicenseData PredictedActionReasons IsClutter BlockStatus HasBlockedImages TextBody "
    "IconIndex SearchKey SortKey Hashtags Mentions MentionedMe MentionsPreview MentionsEx AppliedHashtags "
    "AppliedHashtagsPreview Likes LikesPreview PendingSocialActivityTagIds AtAllMention CanDelete "
    "InferenceClassification "
).split()
MESSAGE = (
    "Sender ToRecipients CcRecipients BccRecipients IsReadReceiptRequested IsDeliveryReceiptRequested "
    "ConversationIndex ConversationTopic From InternetMessageId IsRead IsResponseRequested References ReplyTo "
    "ReceivedBy ReceivedRepresenting ApprovalRequestData VotingInformation ReminderMessageData MessageSafety "
    "SenderSMTPAddress MailboxGuids PublishedCalendarItemIcs PublishedCalendarItemName "
).split()
MEETING = (
    "AssociatedCalendarItemId IsDelegated IsOutOfDate HasBeenProcessed ResponseType UID RecurrenceId "
    "DateTimeStamp IsOrganizer "
).split()
REQUEST = (
    "MeetingRequestType IntendedFreeBusyStatus Start End OriginalStart IsAllDayEvent LegacyFreeBusyStatus "
    "Location When IsMeeting IsCancelled IsRecurring MeetingRequestWasSent CalendarItemType MyResponseType "
    "Organizer RequiredAttendees OptionalAttendees Resources ConflictingMeetingCount AdjacentMeetingCount "
    "ConflictingMeetings AdjacentMeetings Duration TimeZone AppointmentReplyTime AppointmentSequenceNumber "
    "AppointmentState Recurrence FirstOccurrence LastOccurrence ModifiedOccurrences DeletedOccurrences "
    "MeetingTimeZone StartTimeZone EndTimeZone ConferenceType AllowNewTimeProposal IsOnlineMeeting "
    "MeetingWorkspaceUrl NetShowUrl EnhancedLocation ChangeHighlights StartWallClock EndWallClock "
    "StartTimeZoneId EndTimeZoneId DoNotForwardMeeting "
).split()
REPLY = (
    "Start End Location Recurrence CalendarItemType ProposedStart ProposedEnd EnhancedLocation "
).split()
CANCELLATION = (
    "Start End Location Recurrence CalendarItemType EnhancedLocation DoNotForwardMeeting "
).split()
CALENDAR = (
    "UID RecurrenceId DateTimeStamp Start End OriginalStart IsAllDayEvent LegacyFreeBusyStatus Location When "
    "IsMeeting IsCancelled IsRecurring MeetingRequestWasSent IsResponseRequested CalendarItemType "
    "MyResponseType Organizer RequiredAttendees OptionalAttendees Resources InboxReminders "
    "ConflictingMeetingCount AdjacentMeetingCount ConflictingMeetings AdjacentMeetings Duration TimeZone "
    "AppointmentReplyTime AppointmentSequenceNumber AppointmentState Recurrence FirstOccurrence "
    "LastOccurrence ModifiedOccurrences DeletedOccurrences MeetingTimeZone StartTimeZone EndTimeZone "
    "ConferenceType AllowNewTimeProposal IsOnlineMeeting MeetingWorkspaceUrl NetShowUrl EnhancedLocation "
    "StartWallClock EndWallClock StartTimeZoneId EndTimeZoneId IntendedFreeBusyStatus JoinOnlineMeetingUrl "
    "OnlineMeetingSettings IsOrganizer CalendarActivityData DoNotForwardMeeting "
).split()
CONTACT = (
    "FileAs FileAsMapping DisplayName GivenName Initials MiddleName Nickname CompleteName CompanyName "
    "EmailAddresses AbchEmailAddresses PhysicalAddresses PhoneNumbers AssistantName Birthday BusinessHomePage "
    "Children Companies ContactSource Department Generation ImAddresses JobTitle Manager Mileage "
    "OfficeLocation PostalAddressIndex Profession SpouseName Surname WeddingAnniversary HasPicture "
    "PhoneticFullName PhoneticFirstName PhoneticLastName Alias Notes Photo UserSMIMECertificate "
    "MSExchangeCertificate DirectoryId ManagerMailbox DirectReports AccountName IsAutoUpdateDisabled "
    "IsMessengerEnabled Comment ContactShortId ContactType Gender IsHidden ObjectId PassportId IsPrivate "
    "SourceId TrustLevel CreatedBy Urls Cid SkypeAuthCertificate SkypeContext SkypeId SkypeRelationship "
    "YomiNickname XboxLiveTag InviteFree HidePresenceAndProfile IsPendingOutbound SupportGroupFeeds "
    "UserTileHash UnifiedInbox Mris Wlid AbchContactId NotInBirthdayCalendar ShellContactType ImMri "
    "PresenceTrustLevel OtherMri ProfileLastChanged MobileIMEnabled PartnerNetworkProfilePhotoUrl "
    "PartnerNetworkThumbnailPhotoUrl PersonId ConversationGuid "
).split()
LIST = (
    "DisplayName FileAs ContactSource Members "
).split()
TASK = (
    "ActualWork AssignedTime BillingInformation ChangeCount Companies CompleteDate Contacts DelegationState "
    "Delegator DueDate IsAssignmentEditable IsComplete IsRecurring IsTeamTask Mileage Owner PercentComplete "
    "Recurrence StartDate Status StatusDescription TotalWork "
).split()
POST = (
    "ConversationIndex ConversationTopic From InternetMessageId IsRead PostedTime References Sender "
).split()
FOLDER = (
    "FolderId ParentFolderId FolderClass DisplayName TotalCount ChildFolderCount ExtendedProperty "
    "ManagedFolderInformation EffectiveRights DistinguishedFolderId PolicyTag ArchiveTag ReplicaList "
    "PermissionSet UnreadCount "
).split()
CALENDAR_FOLDER = (
    "FolderId ParentFolderId FolderClass DisplayName TotalCount ChildFolderCount ExtendedProperty "
    "ManagedFolderInformation EffectiveRights DistinguishedFolderId PolicyTag ArchiveTag ReplicaList "
    "SharingEffectiveRights PermissionSet "
).split()
CONTACTS_FOLDER = (
    "FolderId ParentFolderId FolderClass DisplayName TotalCount ChildFolderCount ExtendedProperty "
    "ManagedFolderInformation EffectiveRights DistinguishedFolderId PolicyTag ArchiveTag ReplicaList "
    "SharingEffectiveRights PermissionSet SourceId AccountName "
).split()

KINDS = {
    "Item": ITEM,
    "Message": ITEM + MESSAGE,
    "MeetingMessage": ITEM + MESSAGE + MEETING,
    "MeetingRequest": ITEM + MESSAGE + MEETING + REQUEST,
    "MeetingResponse": ITEM + MESSAGE + MEETING + REPLY,
    "MeetingCancellation": ITEM + MESSAGE + MEETING + CANCELLATION,
    "CalendarItem": ITEM + CALENDAR,
    "Contact": ITEM + CONTACT,
    "DistributionList": ITEM + LIST,
    "Task": ITEM + TASK,
    "PostItem": ITEM + POST,
}
MAILS = ("Message", "MeetingMessage", "MeetingRequest", "MeetingResponse", "MeetingCancellation")
FOLDERS = {"Folder": FOLDER, "CalendarFolder": CALENDAR_FOLDER, "ContactsFolder": CONTACTS_FOLDER,
           "TasksFolder": FOLDER, "SearchFolder": FOLDER}

# Setting one of these is refused with ErrorInvalidPropertySet.
READ_ONLY = set((
    "ItemId ParentFolderId DateTimeReceived Size IsSubmitted IsDraft IsFromMe IsResend IsUnmodified "
    "InternetMessageHeaders DateTimeSent DateTimeCreated ResponseObjects ReminderNextTime DisplayCc DisplayTo "
    "DisplayBcc HasAttachments EffectiveRights LastModifiedName LastModifiedTime IsAssociated "
    "WebClientReadFormQueryString WebClientEditFormQueryString ConversationId UniqueBody StoreEntryId "
    "InstanceKey NormalizedBody EntityExtractionResult Preview PredictedActionReasons IsClutter BlockStatus "
    "TextBody SearchKey SortKey ConversationIndex ConversationTopic ReceivedBy ReceivedRepresenting "
    "ApprovalRequestData VotingInformation ReminderMessageData AssociatedCalendarItemId IsDelegated IsOutOfDate "
    "HasBeenProcessed RecurrenceId DateTimeStamp OriginalStart IsMeeting IsCancelled IsRecurring "
    "MeetingRequestWasSent CalendarItemType MyResponseType Organizer ConflictingMeetingCount "
    "AdjacentMeetingCount ConflictingMeetings AdjacentMeetings Duration TimeZone AppointmentReplyTime "
    "AppointmentSequenceNumber AppointmentState FirstOccurrence LastOccurrence ModifiedOccurrences "
    "DeletedOccurrences IsOnlineMeeting StartWallClock EndWallClock IsOrganizer CompleteName "
    "ContactSource HasPicture PhoneticFullName PhoneticFirstName PhoneticLastName Alias Notes Photo "
    "UserSMIMECertificate MSExchangeCertificate DirectoryId ManagerMailbox DirectReports AssignedTime "
    "ChangeCount DelegationState Delegator IsAssignmentEditable IsComplete IsTeamTask Owner "
    "StatusDescription StartTimeZoneId EndTimeZoneId").split())

# Unknown to requests of a version before Exchange2013.
SINCE_2013 = set((
    "Flag StoreEntryId InstanceKey NormalizedBody EntityExtractionResult PolicyTag ArchiveTag RetentionDate "
    "Preview RightsManagementLicenseData PredictedActionReasons IsClutter BlockStatus HasBlockedImages TextBody "
    "IconIndex EnhancedLocation StartWallClock EndWallClock StartTimeZoneId EndTimeZoneId JoinOnlineMeetingUrl "
    "OnlineMeetingSettings IsOrganizer ReminderMessageData DistinguishedFolderId").split())

# Never in FindItem's answers; asking for one there is refused with ErrorInvalidPropertyForOperation.
NOT_FOUND = set((
    "MimeContent Body TextBody UniqueBody NormalizedBody Attachments InternetMessageHeaders ResponseObjects "
    "ToRecipients CcRecipients BccRecipients ReplyTo RequiredAttendees OptionalAttendees Resources Recurrence "
    "FirstOccurrence LastOccurrence ModifiedOccurrences DeletedOccurrences ConflictingMeetings "
    "AdjacentMeetings Members CompleteName Photo").split())

# Values of type dateTime: kept in UTC.
TIMES = set((
    "DateTimeReceived DateTimeSent DateTimeCreated ReminderDueBy ReminderNextTime LastModifiedTime Start End "
    "OriginalStart RecurrenceId DateTimeStamp AppointmentReplyTime ProposedStart ProposedEnd StartWallClock "
    "EndWallClock Birthday WeddingAnniversary CompleteDate DueDate StartDate AssignedTime PostedTime "
    "RetentionDate").split())

# Values of type boolean: kept as true and false, also if they came as 1 and 0.
BOOLEANS = set((
    "IsAllDayEvent ReminderIsSet IsRead IsReadReceiptRequested IsDeliveryReceiptRequested IsResponseRequested "
    "AllowNewTimeProposal").split())

# Which prefixes of field names a kind of item knows.
PREFIXES = {
    "Item": {"item"}, "PostItem": {"item", "postitem", "message"}, "Message": {"item", "message"},
    "MeetingMessage": {"item", "message", "meeting", "calendar"},
    "MeetingRequest": {"item", "message", "meeting", "meetingRequest", "calendar"},
    "MeetingResponse": {"item", "message", "meeting", "calendar"},
    "MeetingCancellation": {"item", "message", "meeting", "calendar"},
    "CalendarItem": {"item", "calendar"}, "Contact": {"item", "contacts"},
    "DistributionList": {"item", "contacts", "distributionlist"}, "Task": {"item", "task"},
}

# What BaseShape Default adds to the id.
DEFAULTS = {
    "Message": "Subject Sensitivity Size DateTimeSent DateTimeCreated HasAttachments From IsRead Body Attachments "
               "ToRecipients CcRecipients BccRecipients IsReadReceiptRequested IsDeliveryReceiptRequested".split(),
    "CalendarItem": "Subject HasAttachments Start End LegacyFreeBusyStatus Location CalendarItemType Body "
                    "Attachments Organizer RequiredAttendees OptionalAttendees IsRecurring UID".split(),
    "Contact": "FileAs DisplayName CompanyName EmailAddresses PhoneNumbers JobTitle".split(),
    "DistributionList": "Subject DisplayName FileAs".split(),
    "Task": "Subject DueDate PercentComplete StartDate Status HasAttachments".split(),
    "Item": "Subject HasAttachments Attachments ParentFolderId".split(),
}
