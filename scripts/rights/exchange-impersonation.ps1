<#
.SYNOPSIS
Lets one account act for mailboxes of an on-premises Exchange (2010 to 2019 and SE), as MailShadow does by default.

.DESCRIPTION
Run it in the Exchange Management Shell. It gives -Account the role ApplicationImpersonation and shows what is assigned
afterwards. Without -Database, -Group or -Filter that is for every mailbox of the organisation; name the narrowest that
will do. It can be run again: what is there already is changed, not doubled. -Remove takes all of it back.
Exchange Online has no such role any more: there an application's own permission takes its place.

.EXAMPLE
./exchange-impersonation.ps1 -Account CORP\svc-mailshadow -Database DB01
.EXAMPLE
./exchange-impersonation.ps1 -Account CORP\svc-mailshadow -Group "Migration wave 1"
.EXAMPLE
./exchange-impersonation.ps1 -Account CORP\svc-mailshadow -Remove
#>
param(
    [Parameter(Mandatory = $true)] [string] $Account,
    [string] $Database,
    [string] $Group,
    [string] $Filter,
    [string] $Name = "MailShadow",
    [switch] $Remove
)
$ErrorActionPreference = "Stop"

$chosen = @($Database, $Group, $Filter | Where-Object { $_ })
if ($chosen.Count -gt 1) { throw "Name one of -Database, -Group and -Filter." }
if ($Database) { $Filter = "Database -eq '$((Get-MailboxDatabase $Database).DistinguishedName)'" }
if ($Group) { $Filter = "MemberOfGroup -eq '$((Get-DistributionGroup $Group).DistinguishedName)'" }

$assignment = Get-ManagementRoleAssignment $Name -ErrorAction SilentlyContinue
$scope = Get-ManagementScope $Name -ErrorAction SilentlyContinue

if ($Remove) {
    if ($assignment) { Remove-ManagementRoleAssignment $Name -Confirm:$false }
    if ($scope) { Remove-ManagementScope $Name -Confirm:$false }
    Write-Output "Taken back: assignment and scope '$Name'."
    return
}

if ($Filter -and $scope) { Set-ManagementScope $Name -RecipientRestrictionFilter $Filter }
elseif ($Filter) { New-ManagementScope -Name $Name -RecipientRestrictionFilter $Filter | Out-Null }

# An assignment's account cannot be changed: it is made anew.
if ($assignment) { Remove-ManagementRoleAssignment $Name -Confirm:$false }
$how = @{ Name = $Name; Role = "ApplicationImpersonation"; User = $Account }
if ($Filter) { $how.CustomRecipientWriteScope = $Name }
New-ManagementRoleAssignment @how | Out-Null
if (-not $Filter -and $scope) { Remove-ManagementScope $Name -Confirm:$false }

Get-ManagementRoleAssignment $Name | Format-List Name, Role, RoleAssigneeName, CustomRecipientWriteScope
