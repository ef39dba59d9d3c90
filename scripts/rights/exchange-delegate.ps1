<#
.SYNOPSIS
Opens mailboxes of an on-premises Exchange to one account without impersonation (Access delegate in MailShadow).

.DESCRIPTION
Run it in the Exchange Management Shell. With -Database or -Organisation the account gets Receive As and Send As on
mailbox databases, as tools of old wanted it: it holds for all mailboxes in them, new ones too. With -Mailbox it gets
FullAccess to these mailboxes, without their being opened in Outlook by themselves. -Remove takes it back.
A denied right beats a granted one: an account that is a member of Domain Admins or Organization Management is denied
Receive As by default, so use an ordinary account. The information store may take two hours to see a change on a database.

.EXAMPLE
./exchange-delegate.ps1 -Account CORP\svc-mailshadow -Database DB01, DB02
.EXAMPLE
./exchange-delegate.ps1 -Account CORP\svc-mailshadow -Organisation
.EXAMPLE
Get-Mailbox -OrganizationalUnit Sales | ./exchange-delegate.ps1 -Account CORP\svc-mailshadow
#>
param(
    [Parameter(Mandatory = $true)] [string] $Account,
    [string[]] $Database,
    [switch] $Organisation,
    [Parameter(ValueFromPipelineByPropertyName = $true)] [Alias("DistinguishedName")] [string[]] $Mailbox,
    [switch] $Remove
)
begin {
    $ErrorActionPreference = "Stop"
    if ($Organisation) { $Database = @(Get-MailboxDatabase | ForEach-Object { $_.Name }) }
    foreach ($name in $Database) {
        $dn = (Get-MailboxDatabase $name).DistinguishedName
        if ($Remove) { Remove-ADPermission $dn -User $Account -ExtendedRights Receive-As, Send-As -Confirm:$false }
        else { Add-ADPermission $dn -User $Account -ExtendedRights Receive-As, Send-As | Out-Null }
        Write-Output "$(if ($Remove) { 'closed' } else { 'opened' }): database $name"
    }
}
process {
    foreach ($name in $Mailbox) {
        if ($Remove) { Remove-MailboxPermission $name -User $Account -AccessRights FullAccess -Confirm:$false }
        else { Add-MailboxPermission $name -User $Account -AccessRights FullAccess -AutoMapping $false | Out-Null }
        Write-Output "$(if ($Remove) { 'closed' } else { 'opened' }): mailbox $name"
    }
}
